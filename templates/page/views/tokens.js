// Service tokens: what programs ask with. A new one is shown once, with lines that are ready to paste.

import { copyButton, fill, h, icon } from '../dom.js';
import { createErrors } from '../question/field-error.js';
import { clock, exact } from '../time.js';
import { pasteLines } from './paste-lines.js';

export function drawTokens(page) {
  const { api } = page;
  const made = h('div', { id: 'new-token-place' });
  const list = h(
    'div',
    { class: 'token-list', id: 'token-list', 'aria-busy': 'true' },
    h('p', { class: 'muted' }, 'Loading…'),
  );
  const errors = createErrors();
  const name = h('input', {
    id: 'token-name',
    name: 'name',
    type: 'text',
    autocomplete: 'off',
    placeholder: 'release-bot',
    maxlength: 100,
    'aria-describedby': 'token-name-hint',
  });
  const alert = h('p', { class: 'form-error', role: 'alert', hidden: true });
  const button = h('button', { type: 'submit', class: 'primary' }, 'Create token');
  const form = h(
    'form',
    { id: 'token-form', class: 'panel', novalidate: true, onsubmit: create },
    h(
      'div',
      { class: 'field' },
      h('label', { for: 'token-name' }, 'Name of the new token'),
      h('div', { class: 'inline' }, name, button),
      h('p', { class: 'hint', id: 'token-name-hint' }, 'People see this name as the one who asks.'),
      errors.place('name', name),
    ),
    alert,
  );
  const element = h(
    'div',
    { class: 'view', data: { view: 'tokens' } },
    h('h1', { tabIndex: -1 }, 'Service tokens'),
    h(
      'p',
      { class: 'lead' },
      'A program or an agent asks with a token. Give each its own, so that you can take one back without the others.',
    ),
    form,
    made,
    list,
  );

  async function create(event) {
    event.preventDefault();
    if (button.disabled) return;
    errors.clear();
    alert.hidden = true;
    if (name.value.trim() === '') return errors.show([{ field: 'name', detail: 'Give the token a name.' }]);
    button.disabled = true;
    try {
      const token = await api.createToken({ name: name.value.trim() });
      name.value = '';
      fill(made, newToken(token, page));
      made.querySelector('h2').focus();
      load();
    } catch (problem) {
      const homeless = errors.show(problem.errors);
      if (homeless.length || !problem.errors.length) {
        alert.textContent = homeless.map((error) => error.detail).join(' ') || problem.message;
        alert.hidden = false;
      }
    } finally {
      button.disabled = false;
    }
  }

  async function load(before = [], cursor) {
    list.setAttribute('aria-busy', 'true');
    try {
      const { items, next_cursor: next } = await api.tokens({ cursor });
      const all = [...before, ...items];
      const more = next
        ? h('button', { type: 'button', class: 'quiet', onclick: () => load(all, next) }, 'Show more')
        : null;
      if (all.length === 0) fill(list, h('p', { class: 'muted' }, 'No tokens yet.'));
      else
        fill(
          list,
          h('h2', {}, 'Your tokens'),
          h(
            'ul',
            { class: 'rows-list panel' },
            all.map((token) => row(token, page, () => revoked(token))),
          ),
          more,
        );
    } catch (problem) {
      fill(
        list,
        h(
          'p',
          { class: 'form-error', role: 'alert' },
          `The tokens could not be loaded. ${problem.message} `,
          h('button', { type: 'button', class: 'small', onclick: () => load(before, cursor) }, 'Try again'),
        ),
      );
    } finally {
      list.removeAttribute('aria-busy');
    }
  }
  function revoked(token) {
    made.querySelector(`[data-token-id="${CSS.escape(token.id)}"]`)?.remove();
    load();
  }
  load();
  return { element };
}

function newToken(token, { store }) {
  const secret = (label, value, id) =>
    value
      ? h('div', { class: 'secret' }, h('span', { class: 'label' }, label), h('code', { id }, value), copyButton(value))
      : null;
  const lines = pasteLines({ base: document.baseURI, token: token.token, username: store.state.me.username });
  return h(
    'section',
    { id: 'new-token', class: 'panel new-token', data: { tokenId: token.id }, 'aria-labelledby': 'new-token-title' },
    h('h2', { id: 'new-token-title', tabIndex: -1 }, icon('check'), `“${token.name}” is ready`),
    h('p', {}, 'Copy these now: they are shown this once.'),
    secret('Token', token.token, 'new-token-value'),
    secret('Webhook secret', token.webhook_secret, 'new-token-webhook-secret'),
    h('div', { class: 'lines-head' }, h('span', { class: 'label' }, 'Try it in a shell'), copyButton(lines)),
    h('pre', { class: 'lines', id: 'new-token-lines', tabIndex: 0 }, lines),
    h(
      'p',
      { class: 'hint' },
      'Where the shell does not find ',
      h('code', {}, 'hearback'),
      ', write the path to the program that runs this hub.',
    ),
  );
}

function row(token, { api }, onRevoked) {
  const trouble = h('p', { class: 'field-error', role: 'alert', hidden: true });
  const ask = h(
    'button',
    {
      type: 'button',
      class: 'quiet small',
      data: { revoke: token.id },
      'aria-label': `Revoke ${token.name}`,
      onclick: () => {
        confirm.showModal();
        keep.focus();
      },
    },
    'Revoke',
  );
  const yes = h('button', { type: 'button', class: 'reject', onclick: revoke }, 'Revoke');
  const keep = h('button', { type: 'button', onclick: () => confirm.close() }, 'Keep it');
  const confirm = h(
    'dialog',
    { 'aria-label': `Revoke ${token.name}?` },
    h('h2', {}, `Revoke “${token.name}”?`),
    h('p', {}, 'Programs that use it are cut off at once, and what they wait for with it ends. This cannot be undone.'),
    trouble,
    h('div', { class: 'actions' }, yes, keep),
  );

  async function revoke() {
    yes.disabled = true;
    trouble.hidden = true;
    try {
      await api.revokeToken(token.id);
      confirm.close();
      onRevoked();
    } catch (problem) {
      trouble.textContent = `Not revoked. ${problem.message}`;
      trouble.hidden = false;
      yes.disabled = false;
    }
  }
  const date = (word, at) => h('span', { title: exact(at) }, `${word} ${clock(at)}`);
  return h(
    'li',
    { data: { tokenId: token.id } },
    h(
      'div',
      {},
      h('strong', {}, token.name),
      h(
        'span',
        { class: 'muted' },
        date('made', token.created_at),
        ' · ',
        token.last_used_at ? date('last used', token.last_used_at) : 'never used',
        token.expires_at ? [' · ', date('ends', token.expires_at)] : null,
      ),
    ),
    ask,
    confirm,
  );
}
