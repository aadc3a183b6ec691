import { containers, type Workload } from './pods.js';

/** A container image's name in its parts. */
export interface Image {
  /** as written */
  name: string;
  /** `docker.io` where none is written */
  host: string;
  /** without host, tag and digest */
  path: string;
  /** undefined where neither tag nor digest is written: then it is `latest` */
  tag: string | undefined;
  digest: string | undefined;
}

/** @source distribution/reference:normalize.go: the first part is a host if it has a dot or a colon, or is localhost */
export function imageOf(name: string): Image {
  const [rest = '', digest] = name.split('@');
  const slash = rest.lastIndexOf('/');
  const colon = rest.indexOf(':', slash + 1);
  const path = colon < 0 ? rest : rest.slice(0, colon);
  const tag = colon < 0 ? undefined : rest.slice(colon + 1);
  const [first = '', ...more] = path.split('/');
  const hosted = more.length > 0 && (/[.:]/.test(first) || first === 'localhost');
  return { name, host: hosted ? first : 'docker.io', path: hosted ? more.join('/') : path, tag, digest };
}

/** The distinct images of a workload, in order. */
export const imagesOf = ({ spec }: Workload): Image[] =>
  [...new Set(containers(spec).flatMap((it) => it.image ?? []))].map(imageOf);

/** `v1.14.2-aliyun.1` → [1, 14, 2]; undefined for a tag that is no version */
export function versionOf(tag: string | undefined): number[] | undefined {
  const found = /^v?(\d+)\.(\d+)(?:\.(\d+))?/.exec(tag ?? '');
  return found ? [Number(found[1]), Number(found[2]), Number(found[3] ?? 0)] : undefined;
}

/** Negative when `a` is older. */
export function compareVersions(a: readonly number[], b: readonly number[]): number {
  for (const [index, value] of a.entries()) {
    const other = b[index] ?? 0;
    if (value !== other) return value - other;
  }
  return 0;
}
