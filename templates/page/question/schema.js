// Reads a JSON Schema (2020-12) into a plain description of the fields that the page can show. What it cannot show
// becomes a `json` field for that property: nothing that a schema asks for is left out.

const DEEPEST = 8;
const LONG_TEXT = 200;

// Keywords that change what a value must be in ways which a single field cannot show.
const BEYOND = [
  'allOf',
  'anyOf',
  'oneOf',
  'not',
  'if',
  'patternProperties',
  'dependentSchemas',
  '$dynamicRef',
  'prefixItems',
  'contains',
];

/** The description of the whole form: an `object` field, or one `json` field for the whole value. */
export function describe(schema) {
  const root = schema && typeof schema === 'object' ? schema : {};
  const { schema: top } = follow(root, root);
  if (!top || !isObject(top) || !top.properties) return json('value', '', root, true);
  // Rules across properties (if, anyOf, …) stay the hub's to check; the properties themselves can be shown.
  return object('value', '', top, true, root, 0);
}

const common = (kind, path, name, schema, required) => ({
  kind,
  path,
  name,
  title: typeof schema.title === 'string' && schema.title ? schema.title : words(name),
  description: typeof schema.description === 'string' ? schema.description : '',
  required,
  default: schema.default,
});

const json = (path, name, schema, required) => ({ ...common('json', path, name, schema, required), schema });

function object(path, name, schema, required, root, depth) {
  const needed = new Set(Array.isArray(schema.required) ? schema.required : []);
  const fields = Object.entries(schema.properties).map(([key, property]) =>
    field(`${path}.${key}`, key, property, needed.has(key), root, depth + 1),
  );
  // A name that is required but not described still needs a place to be filled in.
  for (const key of needed) {
    if (!Object.hasOwn(schema.properties, key)) fields.push(json(`${path}.${key}`, key, {}, true));
  }
  return { ...common('object', path, name, schema, required), fields };
}

function field(path, name, property, required, root, depth) {
  if (property === true) return json(path, name, {}, required);
  const { schema, circular } = follow(property, root);
  if (!schema || circular || depth > DEEPEST || BEYOND.some((word) => word in schema)) {
    return json(path, name, schema ?? {}, required);
  }
  const { type, nullable } = oneType(schema);
  const base = (kind) => ({ ...common(kind, path, name, schema, required), nullable });

  if ('const' in schema) {
    return schema.const === true ? { ...base('boolean'), mustBe: true } : { ...base('const'), value: schema.const };
  }
  if (Array.isArray(schema.enum))
    return { ...base('select'), options: schema.enum.filter((value) => value !== null || !nullable) };
  if (type === 'string')
    return { ...base(textKind(schema)), ...pick(schema, ['minLength', 'maxLength', 'pattern', 'format']) };
  if (type === 'number' || type === 'integer') {
    return {
      ...base(type),
      ...pick(schema, ['minimum', 'maximum', 'exclusiveMinimum', 'exclusiveMaximum', 'multipleOf']),
    };
  }
  if (type === 'boolean') return base('boolean');
  if (type === 'array') return list(base, schema, root) ?? json(path, name, schema, required);
  if (isObject(schema) && schema.properties && !nullable) return object(path, name, schema, required, root, depth);
  return json(path, name, schema, required);
}

function list(base, schema, root) {
  const { schema: items, circular } = follow(schema.items, root);
  if (!items || circular || BEYOND.some((word) => word in items)) return null;
  const limits = pick(schema, ['minItems', 'maxItems', 'uniqueItems']);
  // Checkboxes can only say each value once.
  if (Array.isArray(items.enum)) return { ...base('checks'), ...limits, options: items.enum };
  if (oneType(items).type !== 'string' || oneType(items).nullable || 'const' in items) return null;
  return {
    ...base('list'),
    ...limits,
    item: { ...pick(items, ['minLength', 'maxLength', 'pattern', 'format']), kind: textKind(items) },
  };
}

function textKind(schema) {
  switch (schema.format) {
    case 'email':
      return 'email';
    case 'date':
      return 'date';
    case 'date-time':
      return 'datetime';
    case 'textarea':
      return 'longtext';
    default:
      return schema.maxLength > LONG_TEXT ? 'longtext' : 'text';
  }
}

/** Follows local references; `circular` when they lead back to themselves. */
function follow(schema, root) {
  const walked = new Set();
  while (schema && typeof schema === 'object' && typeof schema.$ref === 'string') {
    if (walked.has(schema.$ref) || !schema.$ref.startsWith('#')) return { schema: null, circular: true };
    walked.add(schema.$ref);
    const target = schema.$ref === '#' ? root : pointer(root, schema.$ref.slice(1));
    if (!target || typeof target !== 'object') return { schema: null, circular: false };
    const { $ref, ...beside } = schema;
    schema = { ...target, ...beside };
  }
  return { schema: schema && typeof schema === 'object' ? schema : null, circular: false };
}

function pointer(root, path) {
  let steps;
  try {
    steps = decodeURIComponent(path).split('/').slice(1);
  } catch {
    return null;
  }
  return steps.reduce((at, step) => at?.[step.replaceAll('~1', '/').replaceAll('~0', '~')], root);
}

/** The one type of a schema, where null may stand beside it. */
function oneType(schema) {
  if (!Array.isArray(schema.type)) return { type: schema.type, nullable: false };
  const types = schema.type.filter((type) => type !== 'null');
  return { type: types.length === 1 ? types[0] : undefined, nullable: types.length < schema.type.length };
}

const isObject = (schema) => schema.type === 'object' || (schema.type === undefined && schema.properties !== undefined);
const pick = (from, names) =>
  Object.fromEntries(names.filter((name) => name in from).map((name) => [name, from[name]]));

/** "releaseNotes_url" -> "Release notes url" */
const words = (name) => {
  const spaced = name
    .replace(/([a-z0-9])([A-Z])/g, '$1 $2')
    .replace(/[_-]+/g, ' ')
    .trim()
    .toLowerCase();
  return spaced.charAt(0).toUpperCase() + spaced.slice(1);
};
