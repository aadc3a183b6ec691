import type { Json } from '../types.js';
import { unsupportedMedia } from './errors.js';
import { MESSAGES } from './messages.js';

/** `k8s` and a zero byte stand before every message. */
const MAGIC = Buffer.from([0x6b, 0x38, 0x73, 0x00]);

const VARINT = 0;
const LENGTH = 2;

/** Numbers and booleans are sent as 0 and false also where nobody set them; of these fields 0 and false mean something. */
const ZERO_COUNTS = new Set([
  'activeDeadlineSeconds',
  'automountServiceAccountToken',
  'backoffLimit',
  'completions',
  'enableServiceLinks',
  'failedJobsHistoryLimit',
  'gracePeriodSeconds',
  'minReplicas',
  'parallelism',
  'replicas',
  'revisionHistoryLimit',
  'successfulJobsHistoryLimit',
  'suspend',
  'terminationGracePeriodSeconds',
  'value',
]);

interface Field {
  name: string;
  type: string;
  isMap: boolean;
  repeated: boolean;
}

const tables = new Map<string, Map<number, Field>>();

function fieldsOf(message: string): Map<number, Field> | undefined {
  const known = tables.get(message);
  if (known) return known;
  const text = MESSAGES[message];
  if (text === undefined) return undefined;
  const table = new Map<number, Field>();
  for (const row of text.split(', ')) {
    const [number = '', name = '', type = ''] = row.split(' ');
    table.set(Number(number), {
      name,
      type: type.replace(/^\{|\*$/g, ''),
      isMap: type.startsWith('{'),
      repeated: type.endsWith('*'),
    });
  }
  tables.set(message, table);
  return table;
}

type Part = { number: number; value: number; bytes?: undefined } | { number: number; value?: undefined; bytes: Buffer };

const unreadable = (what: string): Error =>
  unsupportedMedia(
    `the body of the request holds ${what} in protobuf, which this server reads for a few kinds only - send application/json`,
  );

/** The fields of a message as they stand in its bytes. */
function* partsOf(bytes: Buffer): Generator<Part> {
  let at = 0;
  const varint = (): number => {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = bytes[at++];
      if (byte === undefined) throw unreadable('half a number');
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return Number(BigInt.asIntN(64, value));
    }
  };
  while (at < bytes.length) {
    const tag = varint();
    const number = tag >> 3;
    if ((tag & 7) === VARINT) yield { number, value: varint() };
    else if ((tag & 7) === LENGTH) {
      const length = varint();
      yield { number, bytes: bytes.subarray(at, at + length) };
      at += length;
    } else throw unreadable(`a field of wire type ${tag & 7}`);
  }
}

const bytesAt = (parts: Part[], number: number): Buffer | undefined =>
  parts.find((part) => part.number === number)?.bytes;
const numberAt = (parts: Part[], number: number): number | undefined =>
  parts.find((part) => part.number === number)?.value;

function decodeTime(bytes: Buffer): string | undefined {
  const seconds = numberAt([...partsOf(bytes)], 1);
  return seconds === undefined ? undefined : `${new Date(seconds * 1_000).toISOString().slice(0, 19)}Z`;
}

function decodeValue({ name, type }: Field, part: Part): Json {
  const { value, bytes } = part;
  if (type === 'i') return value === 0 && !ZERO_COUNTS.has(name) ? undefined : value;
  if (type === 'b') return value === 0 ? (ZERO_COUNTS.has(name) ? false : undefined) : true;
  if (bytes === undefined) throw unreadable(`a number as ${name}`);
  switch (type) {
    case 's':
      return bytes.toString();
    case 'y':
      return bytes.toString('base64');
    case 't':
      return decodeTime(bytes);
    case 'q':
      return bytesAt([...partsOf(bytes)], 1)?.toString() ?? '0';
    case 'o': {
      const parts = [...partsOf(bytes)];
      return numberAt(parts, 1) === 1 ? bytesAt(parts, 3)?.toString() : (numberAt(parts, 2) ?? 0);
    }
    default:
      return decodeMessage(type, bytes);
  }
}

/** Messages that say something by being there, even without any field. */
const SPEAKS_EMPTY = new Set(['LabelSelector']);

const isNothing = (value: Json, type: string): boolean =>
  value === undefined ||
  value === '' ||
  (typeof value === 'object' && !Array.isArray(value) && Object.keys(value).length === 0 && !SPEAKS_EMPTY.has(type));

function decodeMessage(message: string, bytes: Buffer): Json {
  const table = fieldsOf(message);
  if (!table) throw unreadable(message);
  const object: Record<string, Json> = {};
  for (const part of partsOf(bytes)) {
    const field = table.get(part.number);
    if (!field) {
      // A status that nobody filled in, or an empty default.
      if (part.value === 0 || part.bytes?.length === 0 || isEmptyDeep(part.bytes)) continue;
      throw unreadable(`${message} with field ${part.number}`);
    }
    put(object, field, part);
  }
  // Go embeds what JSON shows in place.
  const { ingressRuleValue, ...rest } = object;
  return ingressRuleValue === undefined ? object : { ...rest, ...ingressRuleValue };
}

function put(object: Record<string, Json>, field: Field, part: Part): void {
  const { name, type, isMap, repeated } = field;
  if (isMap) {
    const entry = [...partsOf(part.bytes ?? Buffer.alloc(0))];
    const value = bytesAt(entry, 2) ?? Buffer.alloc(0);
    object[name] ??= {};
    object[name][bytesAt(entry, 1)?.toString() ?? ''] = decodeValue(
      { ...field, name, type },
      { number: 2, bytes: value },
    );
    return;
  }
  const value = decodeValue(field, part);
  if (repeated) (object[name] ??= []).push(value);
  else if (!isNothing(value, type)) object[name] = value;
}

/** A message in which every number is zero and every text empty. */
function isEmptyDeep(bytes: Buffer | undefined): boolean {
  if (bytes === undefined) return false;
  try {
    return [...partsOf(bytes)].every((part) => part.value === 0 || part.bytes?.length === 0 || isEmptyDeep(part.bytes));
  } catch {
    return false;
  }
}

/**
 * An object in Kubernetes' protobuf envelope, as JSON would have it.
 *
 * @throws StatusError 415 for anything that isn't known in full, rather than losing a field
 * @source kubernetes/apimachinery:pkg/runtime/serializer/protobuf, pkg/runtime/generated.proto (Unknown)
 */
export function decodeProtobuf(body: Buffer): Json {
  if (!body.subarray(0, MAGIC.length).equals(MAGIC)) throw unreadable('no envelope');
  const envelope = [...partsOf(body.subarray(MAGIC.length))];
  const type = [...partsOf(bytesAt(envelope, 1) ?? Buffer.alloc(0))];
  const kind = bytesAt(type, 2)?.toString() ?? '';
  const apiVersion = bytesAt(type, 1)?.toString() ?? '';
  return { apiVersion, kind, ...decodeMessage(kind, bytesAt(envelope, 2) ?? Buffer.alloc(0)) };
}
