// Markdown from agents, as safe elements: parsed by marked, cleaned by DOMPurify, with nothing loaded from elsewhere.

import DOMPurify from './vendor/dompurify.js';
import { Marked } from './vendor/marked.js';

const marked = new Marked({
  gfm: true,
  breaks: true,
  renderer: {
    // The page has its own outline; an agent's headings begin below a card's.
    heading({ tokens, depth }) {
      const level = Math.min(6, depth + 3);
      return `<h${level}>${this.parser.parseInline(tokens)}</h${level}>`;
    },
  },
});

const TAGS = [
  'a',
  'b',
  'blockquote',
  'br',
  'code',
  'dd',
  'del',
  'details',
  'div',
  'dl',
  'dt',
  'em',
  'h4',
  'h5',
  'h6',
  'hr',
  'i',
  'img',
  'input',
  'ins',
  'kbd',
  'li',
  'mark',
  'ol',
  'p',
  'pre',
  's',
  'span',
  'strong',
  'sub',
  'summary',
  'sup',
  'table',
  'tbody',
  'td',
  'th',
  'thead',
  'tr',
  'u',
  'ul',
];
const ATTRIBUTES = [
  'href',
  'title',
  'src',
  'alt',
  'align',
  'start',
  'type',
  'checked',
  'disabled',
  'colspan',
  'rowspan',
];
const RULES = {
  ALLOWED_TAGS: TAGS,
  ALLOWED_ATTR: ATTRIBUTES, // no class, id, style or name: nothing may dress up as a part of the page
  ALLOWED_URI_REGEXP: /^(?:https?:|mailto:|data:image\/(?:png|jpeg|gif|webp);base64,)/i,
  ADD_URI_SAFE_ATTR: ATTRIBUTES.filter((name) => name !== 'href' && name !== 'src'), // the rule above is for addresses alone
  ALLOW_DATA_ATTR: false,
  ALLOW_ARIA_ATTR: false,
  RETURN_DOM_FRAGMENT: true,
};

DOMPurify.addHook('uponSanitizeElement', (node, { tagName }) => {
  if (tagName === 'img' && !/^data:image\//i.test(node.getAttribute('src') ?? '')) node.remove();
  // Only the ticked boxes of a task list; nothing in a question's text takes input.
  if (tagName === 'input' && (node.getAttribute('type') !== 'checkbox' || !node.hasAttribute('disabled')))
    node.remove();
});
DOMPurify.addHook('afterSanitizeAttributes', (node) => {
  if (node.nodeName !== 'A' || !node.hasAttribute('href')) return;
  if (!/^(https?|mailto):/i.test(node.getAttribute('href'))) return node.removeAttribute('href');
  node.setAttribute('target', '_blank');
  node.setAttribute('rel', 'noopener noreferrer');
  node.setAttribute('title', node.getAttribute('href')); // where it leads can be read before it is followed
});

/** A div with the rendered text. */
export function markdown(text, className) {
  const element = document.createElement('div');
  element.className = className;
  element.dir = 'auto';
  element.append(DOMPurify.sanitize(linkImages(marked.parse(text ?? '')), RULES));
  for (const table of element.querySelectorAll('table')) {
    const frame = document.createElement('div');
    frame.className = 'table-frame';
    table.replaceWith(frame);
    frame.append(table);
  }
  return element;
}

/** A picture from another server would tell that server who reads, and when: it becomes a link. */
function linkImages(html) {
  const inert = new DOMParser().parseFromString(html, 'text/html');
  for (const image of inert.querySelectorAll('img')) {
    const source = image.getAttribute('src') ?? '';
    if (/^data:image\//i.test(source)) continue;
    const words = `Picture: ${image.getAttribute('alt') || source}`;
    const link = inert.createElement(image.closest('a') ? 'span' : 'a');
    link.textContent = words;
    if (link.nodeName === 'A') link.setAttribute('href', source);
    image.replaceWith(link);
  }
  return inert.body.innerHTML;
}

/** The words alone, for titles and announcements. */
export const plain = (text, most = 140) => {
  const words = markdown(text, '').textContent.replace(/\s+/g, ' ').trim();
  return words.length > most ? `${words.slice(0, most - 1)}…` : words;
};
