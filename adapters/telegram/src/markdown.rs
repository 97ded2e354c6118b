//! Markdown as the HTML that Telegram takes, no longer than it may be.
//!
//! Telegram knows bold, italic, struck out, code, links and quotes, counts a text's length after these are taken out, and
//! takes no other tags. Everything else is written as text.

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};
use url::Url;

use crate::{
    html::{escape, link_begin},
    settings::is_linkable,
};

/// What stands where a text was cut.
const CUT: &str = "…";

/// HTML of at most so many characters, as Telegram counts them: without the tags, in UTF-16 code units.
#[derive(Debug, Default)]
pub(crate) struct Text {
    html: String,
    length: usize,
    max: usize,
    /// The tags that are open, as they are closed.
    open: Vec<&'static str>,
    cut: bool,
}

impl Text {
    /// An empty text that may have this length.
    pub(crate) fn new(max: usize) -> Self {
        Self { max, ..Self::default() }
    }

    /// Whether something did not fit.
    pub(crate) const fn is_cut(&self) -> bool {
        self.cut
    }

    /// Adds plain text, as much of it as fits.
    pub(crate) fn say(&mut self, text: &str) {
        if self.cut {
            return;
        }
        let length = units(text);
        if self.length + length <= self.max {
            self.html.push_str(&escape(text));
            self.length += length;
            return;
        }
        let room = self.max.saturating_sub(self.length + units(CUT));
        let head = shorten_to(text, room);
        self.html.push_str(&escape(head));
        self.html.push_str(CUT);
        self.length += units(head) + units(CUT);
        self.cut = true;
    }

    /// Adds plain text between tags.
    pub(crate) fn say_in(&mut self, open: &str, close: &'static str, text: &str) {
        self.begin(open, close);
        self.say(text);
        self.end();
    }

    /// Adds Markdown.
    pub(crate) fn render(&mut self, markdown: &str) {
        let mut writer = Writer { text: self, lists: Vec::new(), fresh: true, tags: Vec::new() };
        for event in Parser::new_ext(markdown, Options::ENABLE_STRIKETHROUGH | Options::ENABLE_TASKLISTS) {
            writer.write(event);
            if writer.text.cut {
                break;
            }
        }
        let left = writer.tags.len();
        for _ in 0..left {
            writer.close_tag();
        }
    }

    fn begin(&mut self, open: &str, close: &'static str) {
        if !self.cut {
            self.html.push_str(open);
            self.open.push(close);
        }
    }

    fn end(&mut self) {
        if let Some(close) = self.open.pop() {
            self.html.push_str(close);
        }
    }

    /// The HTML.
    pub(crate) fn into_html(mut self) -> String {
        while !self.open.is_empty() {
            self.end();
        }
        self.html
    }
}

/// The length of a text as Telegram counts it.
pub(crate) fn units(text: &str) -> usize {
    text.encode_utf16().count()
}

/// As much of the beginning of a text as has this length.
fn shorten_to(text: &str, room: usize) -> &str {
    let mut length = 0;
    let end = text.char_indices().find(|(_, c)| {
        length += c.len_utf16();
        length > room
    });
    end.map_or(text, |(at, _)| text.get(..at).unwrap_or_default())
}

/// A text that is visibly cut where it is longer than this.
pub(crate) fn shorten(text: &str, max: usize) -> String {
    if units(text) <= max {
        return text.to_owned();
    }
    format!("{}{CUT}", shorten_to(text, max.saturating_sub(units(CUT))))
}

/// Writes the events of Markdown.
struct Writer<'t> {
    text: &'t mut Text,
    /// The lists that are open, each with the number of its next item.
    lists: Vec<Option<u64>>,
    /// Whether nothing is on the line yet.
    fresh: bool,
    /// Of the elements that are open, whether each is a tag; and where one leads that cannot be one.
    tags: Vec<Open>,
}

/// An element that is open.
enum Open {
    /// As a tag.
    Tag,
    /// As text alone, with what is written behind it.
    Text(String),
}

impl Writer<'_> {
    fn write(&mut self, event: Event<'_>) {
        match event {
            Event::Start(tag) => self.start(tag),
            Event::End(tag) => self.finish(tag),
            Event::Text(text) | Event::Html(text) | Event::InlineHtml(text) => self.say(&text),
            Event::Code(code) => {
                self.text.say_in("<code>", "</code>", &code);
                self.fresh = false;
            }
            Event::SoftBreak | Event::HardBreak => self.line(),
            Event::Rule => self.block("———"),
            Event::TaskListMarker(done) => self.say(if done { "☑ " } else { "☐ " }),
            _ => {}
        }
    }

    fn start(&mut self, tag: Tag<'_>) {
        match tag {
            Tag::Heading { .. } => {
                self.apart();
                self.open_tag("<b>", "</b>");
            }
            Tag::Paragraph if self.lists.is_empty() => self.apart(),
            Tag::Paragraph if !self.fresh => self.line(),
            Tag::HtmlBlock => self.apart(),
            Tag::BlockQuote(_) => {
                self.apart();
                self.open_tag("<blockquote>", "</blockquote>");
                self.fresh = true;
            }
            Tag::CodeBlock(_) => {
                self.apart();
                self.open_tag("<pre>", "</pre>");
            }
            Tag::List(first) => {
                if self.lists.is_empty() {
                    self.apart();
                }
                self.lists.push(first);
            }
            Tag::Item => self.item(),
            Tag::Strong => self.open_tag("<b>", "</b>"),
            Tag::Emphasis => self.open_tag("<i>", "</i>"),
            Tag::Strikethrough => self.open_tag("<s>", "</s>"),
            Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. } => self.open_link(&dest_url),
            _ => {}
        }
    }

    fn finish(&mut self, tag: TagEnd) {
        match tag {
            TagEnd::Heading(_)
            | TagEnd::BlockQuote(_)
            | TagEnd::CodeBlock
            | TagEnd::Strong
            | TagEnd::Emphasis
            | TagEnd::Strikethrough
            | TagEnd::Link
            | TagEnd::Image => self.close_tag(),
            TagEnd::List(_) => {
                self.lists.pop();
            }
            _ => {}
        }
    }

    /// A link that Telegram would not show is written out.
    fn open_link(&mut self, to: &str) {
        match Url::parse(to) {
            Ok(url) if matches!(url.scheme(), "http" | "https") && is_linkable(&url) => {
                self.open_tag(&link_begin(&url), "</a>");
            }
            Ok(url) if matches!(url.scheme(), "http" | "https" | "mailto") => {
                self.tags.push(Open::Text(format!(" ({url})")));
            }
            _ => self.tags.push(Open::Text(String::new())),
        }
    }

    fn item(&mut self) {
        if !self.fresh {
            self.line();
        }
        let depth = self.lists.len().saturating_sub(1);
        let mark = match self.lists.last_mut() {
            Some(Some(number)) => {
                *number += 1;
                format!("{}. ", *number - 1)
            }
            _ => "• ".into(),
        };
        self.say(&format!("{}{mark}", "  ".repeat(depth)));
        self.fresh = true;
    }

    fn say(&mut self, text: &str) {
        self.text.say(text);
        self.fresh = false;
    }

    fn line(&mut self) {
        self.text.say("\n");
        self.fresh = true;
    }

    /// An empty line before what follows, unless nothing comes before it.
    fn apart(&mut self) {
        if self.fresh {
            return;
        }
        self.text.say("\n\n");
        self.fresh = true;
    }

    fn block(&mut self, text: &str) {
        self.apart();
        self.say(text);
    }

    fn open_tag(&mut self, open: &str, close: &'static str) {
        let before = self.text.open.len();
        self.text.begin(open, close);
        let is_open = self.text.open.len() > before;
        self.tags.push(if is_open { Open::Tag } else { Open::Text(String::new()) });
        if open.starts_with("<pre") {
            self.fresh = true;
        }
    }

    fn close_tag(&mut self) {
        match self.tags.pop() {
            Some(Open::Tag) => {
                self.text.end();
                self.fresh = false;
            }
            Some(Open::Text(behind)) if !behind.is_empty() => self.say(&behind),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn html(markdown: &str, max: usize) -> (String, bool) {
        let mut text = Text::new(max);
        text.render(markdown);
        let cut = text.is_cut();
        (text.into_html(), cut)
    }

    #[test]
    fn what_telegram_knows_is_formatted_and_the_rest_is_text() {
        let cases = [
            ("Deploy **1.4.2** to *production*?", "Deploy <b>1.4.2</b> to <i>production</i>?"),
            ("a <b>& \"c\"</b>", "a &lt;b&gt;&amp; &quot;c&quot;&lt;/b&gt;"),
            ("# Head\n\ntext", "<b>Head</b>\n\ntext"),
            ("one\ntwo\n\nthree", "one\ntwo\n\nthree"),
            ("`x < y` ~~old~~", "<code>x &lt; y</code> <s>old</s>"),
            ("- a\n- b\n  1. c\n  2. d", "• a\n• b\n  1. c\n  2. d"),
            ("```rust\nlet x = 1;\n```", "<pre>let x = 1;\n</pre>"),
            ("> said\n\nthen", "<blockquote>said</blockquote>\n\nthen"),
            ("[docs](https://a.example/?a=1&b=\"2\")", "<a href=\"https://a.example/?a=1&amp;b=%222%22\">docs</a>"),
            ("[here](http://localhost/) [js](javascript:alert(1))", "here (http://localhost/) js"),
            ("- one\n\n  more\n- two", "• one\nmore\n• two"),
            ("text\n\n<div>\nx\n</div>", "text\n\n&lt;div&gt;\nx\n&lt;/div&gt;"),
            ("- [x] done\n- [ ] open", "• ☑ done\n• ☐ open"),
        ];
        for (markdown, expected) in cases {
            assert_eq!(html(markdown, 4096), (expected.to_owned(), false), "{markdown}");
        }
    }

    #[test]
    fn what_is_too_long_is_cut_visibly_and_its_tags_are_closed() {
        assert_eq!(html("**bold text**", 9), ("<b>bold text</b>".into(), false));
        assert_eq!(html("**bold text**", 8), ("<b>bold te…</b>".into(), true));
        assert_eq!(html("*a **b** c*", 5), ("<i>a <b>b</b> c</i>".into(), false));
        assert_eq!(html("&&&&", 3), ("&amp;&amp;…".into(), true), "an entity counts once, and is not parted");
        assert_eq!(html("😀😀😀", 5), ("😀😀…".into(), true), "a pair of surrogates is not parted");
        assert_eq!(shorten("😀😀", 3), "😀…");
        assert_eq!(shorten("abc", 3), "abc");
    }
}
