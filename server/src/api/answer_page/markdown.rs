//! Markdown from askers, as HTML that is safe on the answer page: no HTML of theirs, no scheme but those of links, nothing
//! loaded from elsewhere.

use pulldown_cmark::{CowStr, Event, HeadingLevel, LinkType, Options, Parser, Tag, TagEnd, html};

/// How links may begin.
const SCHEMES: [&str; 3] = ["http:", "https:", "mailto:"];

/// The HTML of a text.
pub(super) fn render(text: &str) -> String {
    let options = Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH | Options::ENABLE_TASKLISTS;
    let mut html = String::with_capacity(text.len() + text.len() / 2);
    let mut shown = Shown::default();
    html::push_html(&mut html, Parser::new_ext(text, options).flat_map(|event| shown.event(event)));
    html
}

/// What is open at an event.
#[derive(Default)]
struct Shown {
    /// Whether each link or picture that is open is a link on the page.
    links: Vec<bool>,
}

impl Shown {
    fn event<'a>(&mut self, event: Event<'a>) -> Vec<Event<'a>> {
        match event {
            // Words like any other.
            Event::Html(text) | Event::InlineHtml(text) => vec![Event::Text(text)],
            Event::Start(Tag::HtmlBlock) => vec![Event::Start(Tag::Paragraph)],
            Event::End(TagEnd::HtmlBlock) => vec![Event::End(TagEnd::Paragraph)],
            // An asker's line is a line.
            Event::SoftBreak => vec![Event::HardBreak],
            // The page has its own outline; an asker's headings begin below it.
            Event::Start(Tag::Heading { level, .. }) => {
                vec![Event::Start(Tag::Heading {
                    level: below(level),
                    id: None,
                    classes: Vec::new(),
                    attrs: Vec::new(),
                })]
            }
            Event::End(TagEnd::Heading(level)) => vec![Event::End(TagEnd::Heading(below(level)))],
            // The page's policy knows no style beside its files.
            Event::Start(Tag::Table(columns)) => {
                let plain = vec![pulldown_cmark::Alignment::None; columns.len()];
                vec![raw("<div class=\"table-frame\">"), Event::Start(Tag::Table(plain))]
            }
            Event::End(TagEnd::Table) => vec![Event::End(TagEnd::Table), raw("</div>")],
            Event::Start(Tag::Link { link_type, dest_url, .. }) => {
                self.open(link_type, &dest_url).into_iter().collect()
            }
            // A picture from another server would tell that server who reads, and when: it becomes a link.
            Event::Start(Tag::Image { link_type, dest_url, .. }) => {
                let link = self.open(link_type, &dest_url);
                link.into_iter().chain([Event::Text("Picture: ".into())]).collect()
            }
            Event::End(TagEnd::Link | TagEnd::Image) => {
                if self.links.pop() == Some(true) {
                    vec![raw("</a>")]
                } else {
                    Vec::new()
                }
            }
            other => vec![other],
        }
    }

    /// Opens a link, where one may be: not within another, and not to what could run something.
    fn open<'a>(&mut self, kind: LinkType, to: &str) -> Option<Event<'a>> {
        let to = if kind == LinkType::Email { format!("mailto:{to}") } else { to.to_owned() };
        let known = SCHEMES.iter().any(|scheme| to.get(..scheme.len()).is_some_and(|s| s.eq_ignore_ascii_case(scheme)));
        let link = known && !self.links.contains(&true);
        self.links.push(link);
        link.then(|| {
            // Where it leads can be read before it is followed.
            let to = escaped(&to);
            raw(&format!("<a href=\"{to}\" title=\"{to}\" target=\"_blank\" rel=\"noopener noreferrer nofollow\">"))
        })
    }
}

fn raw<'a>(html: &str) -> Event<'a> {
    Event::InlineHtml(CowStr::from(html.to_owned()))
}

fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

const fn below(level: HeadingLevel) -> HeadingLevel {
    match level {
        HeadingLevel::H1 => HeadingLevel::H4,
        HeadingLevel::H2 => HeadingLevel::H5,
        _ => HeadingLevel::H6,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_askers_write_is_shown() {
        let html =
            render("# Deploy *1.4.2*?\n\nline one\nline two\n\n- [x] built\n- ~~tested~~\n\n|a|b|\n|-|-:|\n|1|2|\n");
        for part in [
            "<h4>Deploy <em>1.4.2</em>?</h4>",
            "line one<br />\nline two",
            "<del>tested</del>",
            "<div class=\"table-frame\"><table>",
            "</table>\n</div>",
        ] {
            assert!(html.contains(part), "{part}: {html}");
        }
        assert!(html.contains("checkbox") && html.contains("disabled") && !html.contains("style="), "{html}");
        assert_eq!(
            render("```rust\nif a < b {}\n```"),
            "<pre><code class=\"language-rust\">if a &lt; b {}\n</code></pre>\n"
        );
    }

    #[test]
    fn html_is_words() {
        let texts = [
            "<script>alert(1)</script>",
            "<img src=x onerror=alert(1)>",
            "a <b onclick=\"x()\">bold</b> word",
            "<style>*{display:none}</style>",
            "<form action=\"https://evil.example\"><input name=value>",
            "<!-- <p> -->",
            "<svg/onload=alert(1)>",
            "*a*<iframe src=\"javascript:1\">\n</iframe>",
        ];
        for text in texts {
            let html = render(text);
            let tags: Vec<_> = html.split('<').skip(1).map(|tag| tag.split(['>', ' ']).next().unwrap()).collect();
            assert!(tags.iter().all(|tag| ["p", "/p", "em", "/em", "br"].contains(tag)), "{text}: {html}");
        }
    }

    #[test]
    fn links_lead_to_the_web_and_to_mail_alone_and_send_nothing_along() {
        let web = "<p><a href=\"https://a.example/?x=1&amp;y=%22\" title=\"https://a.example/?x=1&amp;y=%22\" \
                   target=\"_blank\" rel=\"noopener noreferrer nofollow\">a <em>b</em></a></p>\n";
        assert_eq!(render("[a *b*](https://a.example/?x=1&y=%22 \"t\")"), web);
        assert!(render("<ana@example.org>").contains("href=\"mailto:ana@example.org\""));
        assert!(render("<HTTPS://a.example>").contains("href=\"HTTPS://a.example\""));
        for to in [
            "javascript:alert(1)",
            "JaVaScRiPt:1",
            "data:text/html,x",
            "vbscript:x",
            "/api/x",
            "//evil.example",
            "file:///x",
        ] {
            assert_eq!(render(&format!("[word]({to})")), "<p>word</p>\n", "{to}");
        }
        assert!(!render("[w](https:&#x22;onclick=x)").contains("\"onclick"));
        assert!(!render("[w](<https://a' onclick='x>)").contains("' onclick"));
    }

    #[test]
    fn a_picture_is_a_link_to_it() {
        let html = render("![a chart](https://a.example/c.png)");
        assert!(html.contains("Picture: a chart</a>") && html.contains("href=\"https://a.example/c.png\""), "{html}");
        assert!(!html.contains("<img"));
        assert_eq!(render("![dot](data:image/png;base64,AA)"), "<p>Picture: dot</p>\n");
        let within = render("[![badge](https://a.example/b.svg)](https://b.example)");
        assert_eq!((within.matches("<a ").count(), within.matches("</a>").count()), (1, 1), "{within}");
        assert!(within.contains("href=\"https://b.example\""));
    }
}
