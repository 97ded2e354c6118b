import assert from 'node:assert/strict';
import test from 'node:test';
import { blank, createDrafts } from '../drafts.js';

function memory() {
  const map = new Map();
  return {
    get length() {
      return map.size;
    },
    key: (i) => [...map.keys()][i] ?? null,
    getItem: (key) => map.get(key) ?? null,
    setItem: (key, value) => void map.set(key, String(value)),
    removeItem: (key) => void map.delete(key),
  };
}

test('a draft comes back as it was, for this person and request only', () => {
  const storage = memory();
  createDrafts(storage, 'ana').write('r1', { value: { name: 'x' }, comment: 'why' });
  assert.deepEqual(createDrafts(storage, 'ana').read('r1'), { value: { name: 'x' }, comment: 'why' });
  assert.equal(createDrafts(storage, 'ana').read('r2'), null);
  assert.equal(createDrafts(storage, 'ben').read('r1'), null);
});

test('an empty draft is no draft', () => {
  const storage = memory();
  const drafts = createDrafts(storage, 'ana');
  drafts.write('r1', { value: 'a', comment: '' });
  drafts.write('r1', { value: '', comment: '' });
  assert.equal(storage.length, 0);
});

test('signing out removes all of this person and nothing else', () => {
  const storage = memory();
  storage.setItem('other', '1');
  const [ana, ben] = [createDrafts(storage, 'ana'), createDrafts(storage, 'ben')];
  for (const id of ['r1', 'r2', 'r3']) ana.write(id, { value: 'x', comment: '' });
  ben.write('r1', { value: 'x', comment: '' });
  ana.removeAll();
  assert.equal(ana.read('r2'), null);
  assert.equal(ben.read('r1').value, 'x');
  assert.equal(storage.getItem('other'), '1');
});

test('what nobody came back to is forgotten', () => {
  const storage = memory();
  let now = 0;
  const drafts = createDrafts(storage, 'ana', () => now);
  now = 1;
  drafts.write('old', { value: 'x', comment: '' });
  now = 29 * 86400_000;
  drafts.write('new', { value: 'x', comment: '' });
  now = 31 * 86400_000;
  drafts.prune();
  assert.equal(drafts.read('old'), null);
  assert.ok(drafts.read('new'));
});

test('a browser without storage does not hinder answering', () => {
  const drafts = createDrafts(null, 'ana');
  drafts.write('r1', { value: 'x', comment: '' });
  assert.equal(drafts.read('r1'), null);
  drafts.removeAll();
  drafts.prune();
});

test('blank looks inside', () => {
  assert.ok(blank({ a: '', b: [], c: { d: false, e: null } }));
  assert.ok(!blank({ a: { b: ['', 'x'] } }));
});
