import assert from 'node:assert/strict';
import test from 'node:test';
import { BEAT, follow } from '../timeline/follow.js';
import { PAGES_MAX, allPages } from '../timeline/pages.js';

/** A document that can be hidden, and a look that counts. */
function scene(context, { pending = true, look } = {}) {
  context.mock.timers.enable({ apis: ['setTimeout'] });
  const document = Object.assign(new EventTarget(), { visibilityState: 'visible' });
  const scene = {
    looks: 0,
    pending,
    async show(state) {
      document.visibilityState = state;
      document.dispatchEvent(new Event('visibilitychange'));
      await settled();
    },
    async pass(beats) {
      for (let i = 0; i < beats; i += 1) {
        context.mock.timers.tick(BEAT);
        await settled();
      }
    },
  };
  scene.following = follow({
    document,
    pending: () => scene.pending,
    look: async () => {
      scene.looks += 1;
      return look?.(scene);
    },
  });
  context.after(() => scene.following.stop());
  return scene;
}
const settled = () => new Promise((done) => setImmediate(done));

test('it looks at once, and at every beat while the request is pending', async (t) => {
  const it = scene(t);
  await settled();
  assert.equal(it.looks, 1);
  await it.pass(3);
  assert.equal(it.looks, 4);
  it.following.stop();
  await it.pass(3);
  assert.equal(it.looks, 4);
});

test('after the end it looks for what is still settled, and stops', async (t) => {
  const it = scene(t);
  await settled();
  it.pending = false;
  it.following.now();
  await settled();
  assert.equal(it.looks, 2);
  await it.pass(9);
  assert.equal(it.looks, 4);
});

test('what is over from the start is looked at once', async (t) => {
  const it = scene(t, { pending: false });
  await it.pass(3);
  assert.equal(it.looks, 1);
});

test('nothing is loaded for a page that nobody sees; seen again, it looks at once', async (t) => {
  const it = scene(t);
  await settled();
  await it.show('hidden');
  await it.pass(5);
  assert.equal(it.looks, 1);
  await it.show('visible');
  assert.equal(it.looks, 2);
  await it.pass(1);
  assert.equal(it.looks, 3);
});

test('one look at a time; what is told meanwhile makes one more', async (t) => {
  let running = 0;
  let most = 0;
  const it = scene(t, {
    async look() {
      most = Math.max(most, (running += 1));
      await settled();
      running -= 1;
    },
  });
  for (let i = 0; i < 5; i += 1) it.following.now();
  await settled();
  await settled();
  await settled();
  assert.deepEqual([it.looks, most], [2, 1]);
});

test('a hub that asks for patience gets it, and a refusal ends it', async (t) => {
  const it = scene(t, { look: ({ looks }) => (looks === 1 ? 2 * BEAT : Infinity) });
  await settled();
  await it.pass(1);
  assert.equal(it.looks, 1);
  await it.pass(1);
  assert.equal(it.looks, 2);
  await it.pass(5);
  assert.equal(it.looks, 2);
});

test('a list is read page by page, up to a bound', async () => {
  const asked = [];
  const pages = (last) => async (page) => {
    asked.push(page);
    return { items: [asked.length], next_cursor: asked.length === last ? null : `c${asked.length}` };
  };
  assert.deepEqual(await allPages(pages(3)), { items: [1, 2, 3], more: false });
  assert.deepEqual(
    asked.map(({ cursor }) => cursor),
    [undefined, 'c1', 'c2'],
  );
  assert.ok(asked.every(({ limit }) => limit === 100));
  asked.length = 0;
  assert.deepEqual(await allPages(pages(PAGES_MAX)), { items: [1, 2, 3, 4, 5], more: false });
  asked.length = 0;
  const { items, more } = await allPages(pages(Infinity));
  assert.deepEqual([items.length, more], [PAGES_MAX, true]);
  await assert.rejects(allPages(async () => Promise.reject(new Error('no'))), { message: 'no' });
});
