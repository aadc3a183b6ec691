import type { TwinObject } from '../types.js';
import type { Fault } from './errors.js';
import { forbiddenValue, invalidValue } from './errors.js';
import type { Served } from './kinds.js';

const SUBDOMAIN = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;
const LABEL = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/;
const LABEL_1035 = /^[a-z]([-a-z0-9]*[a-z0-9])?$/;

const SUBDOMAIN_TEXT =
  "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
export const LABEL_TEXT =
  "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const LABEL_1035_TEXT =
  "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')";

/** Names that may hold nearly anything, such as `system:node`. */
const FREE_NAMES = new Set(['roles', 'rolebindings', 'clusterroles', 'clusterrolebindings']);

function checkName(served: Served, name: string): Fault[] {
  if (FREE_NAMES.has(served.resource))
    return /[/%]/.test(name) ? [invalidValue('metadata.name', name, "may not contain '/'")] : [];
  if (served.stored.key === '/namespaces')
    return LABEL.test(name) ? [] : [invalidValue('metadata.name', name, LABEL_TEXT)];
  if (served.stored.key === '/services')
    return LABEL_1035.test(name) ? [] : [invalidValue('metadata.name', name, LABEL_1035_TEXT)];
  return SUBDOMAIN.test(name) ? [] : [invalidValue('metadata.name', name, SUBDOMAIN_TEXT)];
}

const QUALIFIED = /^([a-z0-9]([-a-z0-9.]*[a-z0-9])?\/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$/;
const LABEL_VALUE = /^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$/;
const QUALIFIED_TEXT =
  "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
const LABEL_VALUE_TEXT =
  "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";

/** Names, labels and finalizers, for every kind. */
export function checkMeta(served: Served, object: TwinObject, before: TwinObject | undefined): Fault[] {
  const { metadata } = object;
  const faults = before ? [] : checkName(served, metadata.name);
  if (metadata.labels !== before?.metadata.labels) {
    for (const [key, value] of Object.entries(metadata.labels ?? {})) {
      if (!QUALIFIED.test(key)) faults.push(invalidValue('metadata.labels', key, QUALIFIED_TEXT));
      if (typeof value !== 'string' || !LABEL_VALUE.test(value))
        faults.push(invalidValue('metadata.labels', value, LABEL_VALUE_TEXT));
    }
  }
  if (before?.metadata.deletionTimestamp) {
    const known = new Set(before.metadata.finalizers ?? []);
    const added = (metadata.finalizers ?? []).filter((it: string) => !known.has(it));
    if (added.length > 0) {
      const list = added.map((it: string) => JSON.stringify(it)).join(', ');
      const detail = `no new finalizers can be added if the object is being deleted, found new finalizers []string{${list}}`;
      faults.push(forbiddenValue('metadata.finalizers', detail));
    }
  }
  return faults;
}
