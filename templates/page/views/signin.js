// Signing in and creating an account. On an empty hub the first account is the administrator's.

import { h, icon } from '../dom.js';
import { createErrors } from '../question/field-error.js';

export function drawSignIn(page, { note, onSignedIn, onHubChanged }) {
  const element = h('main', { class: 'signin', data: { view: 'signin' } });
  let mode = page.hub?.first_account ? 'register' : 'signin';

  function draw(said) {
    const form = mode === 'register' ? registerForm(page, done) : signInForm(page, done);
    element.replaceChildren(
      h(
        'div',
        { class: 'signin-box' },
        h(
          'p',
          { class: 'brand large' },
          h('img', { src: new URL('assets/icon.svg', document.baseURI).href, alt: '', width: 44, height: 44 }),
          h('span', {}, 'Hearback'),
        ),
        said ? h('p', { class: 'notice', role: 'status' }, said) : null,
        form,
        turn(),
      ),
    );
  }

  function turn() {
    const { first_account: first, registration } = page.hub ?? {};
    if (first)
      return h('p', { class: 'aside' }, 'This hub has no account yet. The first one may change everything in it.');
    if (mode === 'register') return h('p', { class: 'aside' }, 'Already have an account? ', go('signin', 'Sign in'));
    if (registration === 'open') return h('p', { class: 'aside' }, 'New here? ', go('register', 'Create an account'));
    return h('p', { class: 'aside' }, 'Need an account? Ask the administrator of this hub.');
  }
  const go = (to, text) =>
    h(
      'button',
      {
        type: 'button',
        class: 'link',
        data: { go: to },
        onclick: () => {
          mode = to;
          draw();
          focus();
        },
      },
      text,
    );

  async function done(user, problem) {
    if (user) return onSignedIn(user);
    // The account exists, and only the sign-in failed: the other form is the one that helps.
    await onHubChanged().catch(() => {});
    mode = 'signin';
    draw(`Your account is made. Sign in with it. ${problem.message}`);
    focus();
  }
  const focus = () => element.querySelector('input')?.focus();
  draw(note);
  return { element, focus };
}

function signInForm({ api }, done) {
  const username = field('username', 'Username or e-mail', { autocomplete: 'username', autocapitalize: 'none' });
  const password = field('password', 'Password', { type: 'password', autocomplete: 'current-password' });
  return form(
    'signin-form',
    'Sign in',
    'Questions from your programs and agents wait inside.',
    'Sign in',
    [username, password],
    async () => {
      await api.signIn(username.input.value.trim(), password.input.value);
      await done(await api.me());
    },
  );
}

function registerForm({ api, hub }, done) {
  const email = field('email', 'E-mail', { type: 'email', autocomplete: 'email' });
  const username = field('username', 'Username', {
    autocomplete: 'username',
    autocapitalize: 'none',
    optional: true,
    hint: 'What agents ask you by, as in “--to ana”.',
  });
  const password = field('password', 'Password', {
    type: 'password',
    autocomplete: 'new-password',
    hint: 'At least 8 characters with a number.',
  });
  const title = hub.first_account ? 'Create the administrator’s account' : 'Create an account';
  return form(
    'register-form',
    title,
    'One place where programs ask, and you answer.',
    'Create account',
    [email, username, password],
    async (errors) => {
      const wrong = [];
      if (!/^[^\s@]+@[^\s@]+$/.test(email.input.value.trim()))
        wrong.push({ field: 'email', detail: 'Write an e-mail address.' });
      if (Array.from(password.input.value).length < 8 || !/\d/.test(password.input.value))
        wrong.push({ field: 'password', detail: 'Too short, or without a number.' });
      if (wrong.length) return errors.show(wrong);
      const account = {
        email: email.input.value.trim(),
        username: username.input.value.trim(),
        password: password.input.value,
      };
      await api.register(account);
      try {
        await api.signIn(account.email, account.password);
        await done(await api.me());
      } catch (problem) {
        await done(null, problem);
      }
    },
  );
}

function field(name, label, { hint, optional, ...attributes }) {
  const id = `account-${name}`;
  const input = h('input', {
    id,
    name,
    type: 'text',
    spellcheck: 'false',
    'aria-required': optional ? null : 'true',
    'aria-describedby': hint ? `${id}-hint` : null,
    ...attributes,
  });
  const reveal =
    attributes.type === 'password'
      ? h('button', { type: 'button', class: 'quiet small reveal', 'aria-pressed': 'false', onclick: turn }, 'Show')
      : null;
  function turn() {
    const shown = input.type === 'password';
    input.type = shown ? 'text' : 'password';
    reveal.textContent = shown ? 'Hide' : 'Show';
    reveal.setAttribute('aria-pressed', String(shown));
  }
  const labelled = h('label', { for: id }, label, optional ? h('span', { class: 'optional' }, ' (optional)') : null);
  const draw = (errors) =>
    h(
      'div',
      { class: 'field' },
      labelled,
      h('div', { class: 'with-end' }, input, reveal),
      hint ? h('p', { class: 'hint', id: `${id}-hint` }, hint) : null,
      errors.place(name, input),
    );
  return { input, draw };
}

function form(id, title, lead, action, fields, submit) {
  const errors = createErrors();
  const alert = h('p', { class: 'form-error', role: 'alert', hidden: true });
  const button = h('button', { type: 'submit', class: 'primary wide' }, action);
  const element = h(
    'form',
    { id, novalidate: true, onsubmit: send },
    h('h1', { tabIndex: -1 }, title),
    h('p', { class: 'lead' }, lead),
    fields.map((each) => each.draw(errors)),
    alert,
    button,
  );

  async function send(event) {
    event.preventDefault();
    if (button.disabled) return;
    errors.clear();
    alert.hidden = true;
    button.disabled = true;
    button.textContent = 'One moment…';
    try {
      await submit(errors);
    } catch (problem) {
      const homeless = errors.show(problem.errors ?? []);
      const shown = (problem.errors?.length ?? 0) > homeless.length;
      if (!shown || homeless.length)
        alert.replaceChildren(
          icon('alert'),
          h('span', {}, homeless.map((error) => error.detail).join(' ') || problem.message),
        );
      alert.hidden = shown && !homeless.length;
    } finally {
      button.disabled = false;
      button.textContent = action;
    }
  }
  return element;
}
