import type { Json, TwinObject } from '../types.js';
import { badRequest } from './errors.js';
import { at } from './json.js';
import type { Served } from './kinds.js';

export type Match = (object: TwinObject) => boolean;

const SET_TERM = /^([^\s!=,()]+)\s+(in|notin)\s*\(([^)]*)\)$/;
const EQUALS_TERM = /^([^\s!=,()]+)\s*(==|=|!=)\s*([^\s!=,()]*)$/;
const EXISTS_TERM = /^(!?)\s*([^\s!=,()]+)$/;

/** Commas between terms, not those inside brackets. */
function splitTerms(text: string): string[] {
  const terms: string[] = [];
  let depth = 0;
  let term = '';
  for (const letter of text) {
    if (letter === '(') depth += 1;
    if (letter === ')') depth -= 1;
    if (letter === ',' && depth === 0) {
      terms.push(term.trim());
      term = '';
    } else term += letter;
  }
  return [...terms, term.trim()].filter((it) => it !== '');
}

type Labels = Record<string, string>;

function labelTerm(term: string): (labels: Labels) => boolean {
  const set = SET_TERM.exec(term);
  if (set) {
    const [, key = '', operator, list = ''] = set;
    const values = list.split(',').map((it) => it.trim());
    if (operator === 'in') return (labels) => Object.hasOwn(labels, key) && values.includes(labels[key]!);
    return (labels) => !Object.hasOwn(labels, key) || !values.includes(labels[key]!);
  }
  const equals = EQUALS_TERM.exec(term);
  if (equals) {
    const [, key = '', operator, value] = equals;
    return operator === '!=' ? (labels) => labels[key] !== value : (labels) => labels[key] === value;
  }
  const exists = EXISTS_TERM.exec(term);
  if (!exists) throw badRequest(`unable to parse requirement: found '${term.split(/\s+/).at(-1)}' expected: '('`);
  const [, not, key = ''] = exists;
  return (labels) => Object.hasOwn(labels, key) !== (not === '!');
}

const NO_LABELS: Labels = {};

/** @param text  as in ?labelSelector= */
export function labelMatch(text: string): Match {
  const terms = splitTerms(text).map(labelTerm);
  return (object) => {
    const labels = object.metadata.labels ?? NO_LABELS;
    return terms.every((term) => term(labels));
  };
}

/** A LabelSelector as objects carry it: `matchLabels` and `matchExpressions`, or the plain map of older kinds. */
export function selectorText(selector: Json): string {
  if (typeof selector !== 'object' || selector === null) return '';
  const { matchLabels, matchExpressions } = selector;
  const plain = matchLabels === undefined && matchExpressions === undefined ? selector : (matchLabels ?? {});
  const equal = Object.entries(plain).map(([key, value]) => `${key}=${value as string}`);
  const sets = (matchExpressions ?? []).map(({ key, operator, values = [] }: Json) => {
    if (operator === 'Exists') return key;
    if (operator === 'DoesNotExist') return `!${key}`;
    return `${key} ${operator === 'In' ? 'in' : 'notin'} (${values.join(',')})`;
  });
  return [...equal, ...sets].join(',');
}

/** Fields that can be asked for, beside the name and the namespace that every kind has. */
const FIELDS: Record<string, readonly string[]> = {
  '/pods': [
    'spec.nodeName',
    'spec.restartPolicy',
    'spec.schedulerName',
    'spec.serviceAccountName',
    'status.phase',
    'status.podIP',
    'status.nominatedNodeName',
  ],
  '/events': [
    'involvedObject.kind',
    'involvedObject.namespace',
    'involvedObject.name',
    'involvedObject.uid',
    'involvedObject.apiVersion',
    'involvedObject.resourceVersion',
    'involvedObject.fieldPath',
    'reason',
    'reportingComponent',
    'source',
    'type',
  ],
  '/nodes': ['spec.unschedulable'],
  '/namespaces': ['status.phase'],
  '/secrets': ['type'],
  '/services': ['spec.clusterIP', 'spec.type'],
  '/replicationcontrollers': ['status.replicas'],
  'apps/replicasets': ['status.replicas'],
  'batch/jobs': ['status.successful'],
  'certificates.k8s.io/certificatesigningrequests': ['spec.signerName'],
};

const FIELD_TERM = /^([^=!]+?)\s*(==|=|!=)\s*(.*)$/;

function fieldValue(object: TwinObject, field: string): string {
  const found = field === 'source' ? object['source']?.component : at(object, field);
  return found === undefined || found === null ? (field === 'spec.unschedulable' ? 'false' : '') : String(found);
}

/**
 * @param text  as in ?fieldSelector=
 * @throws StatusError 400 for a field that this kind can't be selected by
 */
export function fieldMatch(served: Served, text: string): Match {
  const allowed = [
    'metadata.name',
    ...(served.namespaced ? ['metadata.namespace'] : []),
    ...(FIELDS[served.stored.key] ?? []),
  ];
  const terms = text
    .split(',')
    .flatMap((term) => (term.trim() === '' ? [] : [parseField(served, allowed, term.trim())]));
  return (object) => terms.every(({ field, not, value }) => (fieldValue(object, field) === value) !== not);
}

function parseField(served: Served, allowed: string[], term: string): { field: string; not: boolean; value: string } {
  const [, given = '', operator, value = ''] = FIELD_TERM.exec(term) ?? [];
  const field = served.group === 'events.k8s.io' ? given.replace(/^regarding\./, 'involvedObject.') : given;
  if (operator === undefined) throw badRequest(`invalid selector: '${term}'; can't understand '${term}'`);
  if (!allowed.includes(field)) throw badRequest(fieldRefusal(served, given));
  return { field, not: operator === '!=', value };
}

function fieldRefusal(served: Served, field: string): string {
  if (FIELDS[served.stored.key] || served.stored.custom) return `field label not supported: ${field}`;
  return `${JSON.stringify(field)} is not a known field selector: only "metadata.name", "metadata.namespace"`;
}
