//! Text as the HTML that Telegram takes. All of it is given plain and comes out escaped, by pulldown-cmark's rules: `&`, `<`, `>`
//! and `"`, whose names Telegram knows.

use pulldown_cmark_escape::escape_html;
use url::Url;

/// Plain text.
pub(crate) fn escape(text: &str) -> String {
    let mut html = String::with_capacity(text.len());
    // Writing to a string does not fail.
    let _ = escape_html(&mut html, text);
    html
}

/// Bold text.
pub(crate) fn bold(text: &str) -> String {
    format!("<b>{}</b>", escape(text))
}

/// Text to copy.
pub(crate) fn code(text: &str) -> String {
    format!("<code>{}</code>", escape(text))
}

/// Text that leads to a URL.
pub(crate) fn link(url: &Url, text: &str) -> String {
    format!("{}{}</a>", link_begin(url), escape(text))
}

/// What begins such a text.
pub(crate) fn link_begin(url: &Url) -> String {
    format!("<a href=\"{}\">", escape(url.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_is_said_becomes_a_tag() {
        assert_eq!(escape("a <b> & \"c\""), "a &lt;b&gt; &amp; &quot;c&quot;");
        assert_eq!((bold("<i>"), code("&")), ("<b>&lt;i&gt;</b>".into(), "<code>&amp;</code>".into()));
        let url = Url::parse("https://a.example/?a=1&b=\"2\"").unwrap();
        assert_eq!(link(&url, "a > b"), "<a href=\"https://a.example/?a=1&amp;b=%222%22\">a &gt; b</a>");
    }
}
