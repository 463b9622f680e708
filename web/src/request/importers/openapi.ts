/// OpenAPI 3 and Swagger 2: one request for each operation, with examples filled in where the document has them.
import { row } from '../draft';
import { type Imported, draftWith, list, text } from './index';

type Json = Record<string, unknown>;

const METHODS = ['get', 'post', 'put', 'patch', 'delete', 'head', 'options'];
/// A schema that refers to itself has no end.
const DEPTH = 6;

export function readOpenApi(file: Json): Imported[] {
  const base = basePath(file);
  return Object.entries((file.paths ?? {}) as Record<string, Json>).flatMap(([path, item]) =>
    METHODS.filter((method) => typeof item?.[method] === 'object').map((method) =>
      readOperation(file, base + path, method, item[method] as Json, list(item.parameters)),
    ),
  );
}

/// The path of the first server: hosts are regions and services here.
function basePath(file: Json): string {
  const server = text(list(file.servers)[0]?.url) || text(file.basePath);
  return server.replace(/^[a-z]+:\/\/[^/]*/i, '').replace(/\/$/, '');
}

function readOperation(file: Json, path: string, method: string, operation: Json, shared: Json[]): Imported {
  const draft = draftWith(method);
  draft.path = path.replace(/\{(\w+)\}/g, '{{$1}}');
  for (const given of [...shared, ...list(operation.parameters)]) {
    const parameter = resolve(file, given);
    const value = exampleText(file, parameter);
    if (parameter.in === 'query') {
      draft.query.push(row(text(parameter.name), value, parameter.required === true));
    } else if (parameter.in === 'header') {
      draft.headers.push(row(text(parameter.name), value, parameter.required === true));
    } else if (parameter.in === 'path' && value !== '') {
      draft.path = draft.path.replace(`{{${text(parameter.name)}}}`, encodeURIComponent(value));
    } else if (parameter.in === 'body') {
      draft.body = { ...draft.body, kind: 'json', text: pretty(sample(file, parameter.schema, 0)) };
    }
  }
  const content = (resolve(file, operation.requestBody).content ?? {}) as Record<string, Json>;
  const json = Object.entries(content).find(([type]) => /json/.test(type))?.[1];
  const form = content['application/x-www-form-urlencoded'];
  if (json !== undefined) {
    draft.body = { ...draft.body, kind: 'json', text: pretty(json.example ?? sample(file, json.schema, 0)) };
  } else if (form !== undefined) {
    const fields = sample(file, form.schema, 0);
    const entries = typeof fields === 'object' && fields !== null ? Object.entries(fields) : [];
    draft.body = { ...draft.body, kind: 'form', form: entries.map(([name, value]) => row(name, text(value))) };
  } else if (content['multipart/form-data'] !== undefined) {
    draft.body = { ...draft.body, kind: 'multipart' };
  }
  const tag = Array.isArray(operation.tags) ? text(operation.tags[0]) : '';
  return {
    folders: tag === '' ? [] : [tag],
    name: text(operation.summary) || text(operation.operationId) || `${draft.method} ${path}`,
    draft,
  };
}

function exampleText(file: Json, parameter: Json): string {
  const schema = resolve(file, parameter.schema);
  const value = parameter.example ?? schema.example ?? schema.default ?? (Array.isArray(schema.enum) ? schema.enum[0] : '');
  return typeof value === 'object' ? JSON.stringify(value) : text(value);
}

function resolve(file: Json, value: unknown): Json {
  let found = (typeof value === 'object' && value !== null ? value : {}) as Json;
  for (let hops = 0; typeof found.$ref === 'string' && hops < 10; hops += 1) {
    const steps = found.$ref.replace(/^#\//, '').split('/').map((step) => step.replaceAll('~1', '/').replaceAll('~0', '~'));
    found = (steps.reduce<unknown>((at, step) => (at as Json | undefined)?.[step], file) ?? {}) as Json;
  }
  return found;
}

/// A value that fits a schema.
function sample(file: Json, given: unknown, depth: number): unknown {
  const schema = resolve(file, given);
  const first = schema.example ?? schema.default ?? (Array.isArray(schema.enum) ? schema.enum[0] : undefined);
  if (first !== undefined || depth > DEPTH) {
    return first ?? null;
  }
  const choice = list(schema.oneOf)[0] ?? list(schema.anyOf)[0];
  if (choice !== undefined) {
    return sample(file, choice, depth + 1);
  }
  if (Array.isArray(schema.allOf)) {
    return Object.assign({}, ...list(schema.allOf).map((part) => sample(file, part, depth + 1)));
  }
  const type = Array.isArray(schema.type) ? schema.type[0] : schema.type;
  switch (type) {
    case 'array':
      return [sample(file, schema.items, depth + 1)];
    case 'integer':
    case 'number':
      return 0;
    case 'boolean':
      return false;
    case 'string':
      return '';
    default:
      return Object.fromEntries(
        Object.entries((schema.properties ?? {}) as Json).map(([name, inner]) => [name, sample(file, inner, depth + 1)]),
      );
  }
}

function pretty(value: unknown): string {
  return JSON.stringify(value, null, 2);
}
