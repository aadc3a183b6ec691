import { X509Certificate } from 'node:crypto';
import type { KubeObject } from './ports.js';

/**
 * What an inventory may hold of an object. Values of Secrets never; nor what looks like a credential anywhere else, for people keep
 * passwords in annotations, environment variables and ConfigMaps too. Names of keys stay: checks and people need those.
 */

const SECRET_NAME = /passw|secret|token|credential|private|api_?-?key|access_?-?key|auth/i;
/** `accessKeySecret: xyz`, `"token":"xyz"`, `password=xyz` inside a longer text */
const SECRET_IN_TEXT =
  /((?:passw|secret|token|credential|private|api_?-?key|access_?-?key)[-\w.]*["']?\s*[:=]\s*)("[^"\n]*"|'[^'\n]*'|[^\s,;}"']+)/gi;
/** user:password@ in an address; only from where a word begins, for a long one would be tried from each of its letters */
const SECRET_IN_URL = /(\b\w+:\/\/[^\s/:@]*:)[^\s/@]+@/g;

/** In place of a value that is not kept. */
export const HIDDEN = '(hidden)';

/** Annotations whose values the checks and steps read; any other's value is nobody's business here. */
const READ_ANNOTATION =
  /(?:^|[./])(?:kubernetes\.io|k8s\.io|alibabacloud\.com|aliyun\.com|helm\.sh|argoproj\.io|fluxcd\.io|velero\.io|k8s\.alibaba|linkerd\.io|istio\.io|alibaba)(?:\/|$)/;
const LAST_APPLIED = 'kubectl.kubernetes.io/last-applied-configuration';

/** Credentials in a longer text, hidden. */
export const hideIn = (text: string): string =>
  text.replace(SECRET_IN_TEXT, `$1${HIDDEN}`).replace(SECRET_IN_URL, `$1${HIDDEN}@`);

/** A copy without values that must not be kept, and without what only fills memory. */
export function kept(object: KubeObject): KubeObject {
  const { metadata, ...rest } = object;
  const isSecret = object.kind === 'Secret' && !object.apiVersion.includes('/');
  return {
    ...(isSecret ? secret(rest as KubeObject) : (hideValues(rest) as Omit<KubeObject, 'metadata'>)),
    apiVersion: object.apiVersion,
    kind: object.kind,
    metadata: {
      ...metadata,
      ...(metadata.annotations && { annotations: annotations(metadata.annotations, isSecret) }),
      ...(metadata.managedFields && {
        managedFields: metadata.managedFields.map(({ manager, operation, apiVersion, time }) => ({
          ...(manager !== undefined && { manager }),
          ...(operation !== undefined && { operation }),
          ...(apiVersion !== undefined && { apiVersion }),
          ...(time !== undefined && { time }),
        })),
      }),
    },
  };
}

function secret({ type, data, immutable }: KubeObject) {
  const certificate =
    type === 'kubernetes.io/tls' ? certificateOf((data as Record<string, string> | undefined)?.['tls.crt']) : undefined;
  return {
    ...(certificate && { certificate }),
    ...(type !== undefined && { type: type as string }),
    ...(immutable !== undefined && { immutable: immutable as boolean }),
    data: Object.fromEntries(Object.keys((data ?? {}) as object).map((key) => [key, ''])),
  };
}

/** Of a certificate what every visitor is shown: until when it holds, and for which names. Its key is in the other half. */
function certificateOf(encoded: unknown): { notAfter: string; names: string[] } | undefined {
  try {
    const { validTo, subjectAltName, subject } = new X509Certificate(Buffer.from(String(encoded), 'base64'));
    const names = (subjectAltName ?? '')
      .split(', ')
      .flatMap((it) => (it.startsWith('DNS:') ? [it.slice('DNS:'.length)] : []));
    const common = /^CN=(.+)$/m.exec(subject)?.[1];
    return {
      notAfter: new Date(validTo).toISOString(),
      names: names.length > 0 ? names : common === undefined ? [] : [common],
    };
  } catch {
    return undefined;
  }
}

function annotations(all: Record<string, string>, isSecret: boolean): Record<string, string> {
  const entries = Object.entries(all).flatMap(([key, value]): [string, string][] => {
    if (key === LAST_APPLIED) return isSecret ? [] : [[key, appliedAs(value)]];
    return [[key, READ_ANNOTATION.test(key) && !SECRET_NAME.test(key) ? hideIn(value) : HIDDEN]];
  });
  return Object.fromEntries(entries);
}

/** Of the last applied file only its version and kind are evidence; the rest repeats the object, values and all. */
function appliedAs(text: string): string {
  try {
    const { apiVersion, kind } = JSON.parse(text) as { apiVersion?: string; kind?: string };
    return JSON.stringify({ apiVersion, kind });
  } catch {
    return '{}';
  }
}

/**
 * Keys of maps whose values are credentials. A volume's attributes name Secrets and ways to authenticate too, and those are needed.
 * @source kubernetes-sigs/alibaba-cloud-csi-driver:docs/oss.md
 */
const VOLUME_KEYS = /^(?:ak_?id|ak_?secret|access_?key_?(?:id|secret)|security_?token|passw.*)$/i;
const SECRET_KEYS: Record<string, RegExp> = {
  data: SECRET_NAME,
  stringData: SECRET_NAME,
  volumeAttributes: VOLUME_KEYS,
  options: VOLUME_KEYS,
};

/** Environment variables, keys of maps and texts that hold credentials. */
function hideValues(value: unknown, name = ''): unknown {
  if (typeof value === 'string') return hideIn(value);
  if (Array.isArray(value)) return value.map((it) => hideValues(it, name));
  if (value === null || typeof value !== 'object') return value;
  const map = value as Record<string, unknown>;
  if (typeof map['name'] === 'string' && typeof map['value'] === 'string') {
    return { ...map, value: SECRET_NAME.test(map['name']) ? HIDDEN : hideIn(map['value']) };
  }
  const hidden = SECRET_KEYS[name];
  return Object.fromEntries(
    Object.entries(map).map(([key, inner]) => [
      key,
      typeof inner === 'string' && hidden?.test(key) ? HIDDEN : hideValues(inner, key),
    ]),
  );
}
