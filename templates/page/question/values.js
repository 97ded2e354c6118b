// From what stands in a form's fields to the value that is sent, and what is wrong with it. Raw values mirror the
// description: text for most kinds, true/false, lists of option numbers (checks) or texts (list), objects for objects.

import { textErrors } from './text.js';
import { blank } from '../drafts.js';

/** What a form shows before anybody touched it: its defaults. */
export function initial(field, fallback = field.default) {
  const given = fallback ?? undefined;
  switch (field.kind) {
    case 'object':
      return Object.fromEntries(
        field.fields.map((each) => [each.name, initial(each, own(given, each.name) ?? each.default)]),
      );
    case 'boolean':
      return given === true;
    case 'const':
      return null;
    case 'select':
      return position(field.options, given);
    case 'checks':
      return Array.isArray(given) ? given.map((value) => position(field.options, value)).filter((at) => at !== '') : [];
    case 'list':
      return Array.isArray(given) ? given.map(String) : [];
    case 'datetime':
      return given ? localMoment(given) : '';
    case 'json':
      return given === undefined ? '' : JSON.stringify(given, null, 2);
    default:
      return given === undefined ? '' : String(given);
  }
}

/** {value, errors}; `value` is undefined where nothing was given. */
export function build(field, raw) {
  const fail = (detail) => ({ errors: [{ field: field.path, detail }] });
  const done = (value) => ({ value, errors: [] });
  const missing = () => (field.required ? (field.nullable ? done(null) : fail('This is needed.')) : done(undefined));

  switch (field.kind) {
    case 'object':
      return buildObject(field, raw);
    case 'const':
      return done(field.value);
    case 'boolean':
      if (!field.mustBe) return done(raw === true);
      return raw === true ? done(true) : field.required ? fail('Tick this to go on.') : done(undefined);
    case 'select':
      return raw === '' || raw === undefined ? missing() : done(field.options[Number(raw)]);
    case 'checks':
      return buildList(
        field,
        (raw ?? []).map((at) => field.options[Number(at)]),
        fail,
        done,
      );
    case 'list':
      return buildTexts(field, raw, fail, done);
    case 'json':
      return buildJson(raw, fail, done, missing);
    case 'number':
    case 'integer':
      return String(raw ?? '').trim() === '' ? missing() : buildNumber(field, String(raw).trim(), fail, done);
    case 'datetime': {
      if (!raw) return missing();
      const moment = new Date(raw);
      return Number.isNaN(moment.getTime())
        ? fail('This is not a date and time.')
        : done(moment.toISOString().replace('.000Z', 'Z'));
    }
    default: {
      const text = raw ?? '';
      if (text === '') return missing();
      const wrong = textErrors(text, {
        min: field.minLength,
        max: field.maxLength,
        pattern: field.pattern,
        kind: field.kind,
      });
      return wrong ? fail(wrong) : done(text);
    }
  }
}

function buildObject(field, raw) {
  const inner = raw ?? {};
  // An optional group that nobody touched is left out, whatever it would need inside.
  if (!field.required && untouched(field, inner)) return { value: undefined, errors: [] };
  const value = {};
  const errors = [];
  for (const each of field.fields) {
    const part = build(each, own(inner, each.name));
    errors.push(...part.errors);
    // A plain assignment would treat a property called __proto__ as something else.
    if (part.value !== undefined)
      Object.defineProperty(value, each.name, {
        value: part.value,
        enumerable: true,
        writable: true,
        configurable: true,
      });
  }
  return errors.length ? { errors } : { value, errors };
}

const untouched = (field, raw) =>
  field.kind === 'object' ? field.fields.every((each) => untouched(each, own(raw, each.name))) : blank(raw);

function buildTexts(field, raw, fail, done) {
  const errors = [];
  const texts = [];
  (raw ?? []).forEach((text, row) => {
    if (text === '') return;
    const wrong = textErrors(text, {
      min: field.item.minLength,
      max: field.item.maxLength,
      pattern: field.item.pattern,
      kind: field.item.kind,
    });
    if (wrong) errors.push({ field: `${field.path}[${row}]`, detail: wrong });
    texts.push(text);
  });
  return errors.length ? { errors } : buildList(field, texts, fail, done);
}

function buildList(field, values, fail, done) {
  if (values.length === 0 && !field.required) return done(undefined);
  if (values.length < (field.minItems ?? 0)) return fail(`At least ${field.minItems} needed.`);
  if (values.length > (field.maxItems ?? Infinity)) return fail(`At most ${field.maxItems} allowed.`);
  if (field.uniqueItems && new Set(values.map((value) => JSON.stringify(value))).size < values.length)
    return fail('Each may stand here only once.');
  return done(values);
}

function buildJson(raw, fail, done, missing) {
  if ((raw ?? '').trim() === '') return missing();
  try {
    return done(JSON.parse(raw));
  } catch {
    return fail('This is not valid JSON.');
  }
}

function buildNumber(field, raw, fail, done) {
  if (!/^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(raw))
    return fail('Write a number, such as 12' + (field.kind === 'integer' ? '.' : ' or 12.5.'));
  const number = Number(raw);
  if (field.kind === 'integer' && !Number.isInteger(number)) return fail('Write a whole number.');
  if (!Number.isFinite(number) || (Number.isInteger(number) && !Number.isSafeInteger(number)))
    return fail('This number is too large to be sent exactly.');
  if (number < field.minimum) return fail(`At least ${field.minimum}.`);
  if (number > field.maximum) return fail(`At most ${field.maximum}.`);
  if (number <= field.exclusiveMinimum) return fail(`More than ${field.exclusiveMinimum}.`);
  if (number >= field.exclusiveMaximum) return fail(`Less than ${field.exclusiveMaximum}.`);
  if (field.multipleOf > 0) {
    const times = number / field.multipleOf;
    if (Math.abs(times - Math.round(times)) > 1e-9 * Math.max(1, Math.abs(times)))
      return fail(`In steps of ${field.multipleOf}.`);
  }
  return done(number);
}

/** What stands in the fields, a line each, for reading and copying. */
export function summary(field, raw) {
  if (field.kind === 'object') return field.fields.flatMap((each) => summary(each, own(raw, each.name)));
  if (field.kind === 'const' || blank(raw)) return [];
  const option = (at) => String(field.options[Number(at)]);
  const shown = {
    boolean: () => 'yes',
    select: () => option(raw),
    checks: () => raw.map(option).join(', '),
    list: () => raw.filter(Boolean).join(', '),
  };
  return [`${field.title || 'Answer'}: ${(shown[field.kind] ?? (() => raw))()}`];
}

const own = (object, name) =>
  object !== null && typeof object === 'object' && Object.hasOwn(object, name) ? object[name] : undefined;
const position = (options, value) => {
  const at = options.findIndex((option) => JSON.stringify(option) === JSON.stringify(value));
  return value === undefined || at < 0 ? '' : String(at);
};

/** An RFC 3339 time as the browser's own date-and-time field wants it: local, without a zone. */
function localMoment(at) {
  const moment = new Date(at);
  if (Number.isNaN(moment.getTime())) return '';
  return new Date(moment.getTime() - moment.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
}
