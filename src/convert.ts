import { CONVERSIONS, type Conversion } from './conversions.js';
import type { ClusterInventory } from './inventory.js';
import { groupOf, splitKind } from './objects.js';
import type { Kind } from './ports.js';

export { CONVERSIONS } from './conversions.js';

/** Versions of a kind that both clusters serve; discovery of the two servers beats any table. */
export function commonVersions(kind: Kind, source: ClusterInventory, target: ClusterInventory): string[] {
  const versions = (it: ClusterInventory) =>
    it.served.filter((one) => (one.group ? `${one.kind}.${one.group}` : one.kind) === kind).map((one) => one.version);
  const there = new Set(versions(target));
  return versions(source).filter((it) => there.has(it));
}

/** The conversion for a kind that the two share no version of, when the target serves what it leads to. */
export function conversionFor(kind: Kind, source: ClusterInventory, target: ClusterInventory): Conversion | undefined {
  if (commonVersions(kind, source, target).length > 0) return undefined;
  const { kind: word, group } = splitKind(kind);
  const stored = source.served
    .filter((it) => it.kind === word && it.group === group)
    .map((it) => `${group}/${it.version}`);
  const fitting = CONVERSIONS.filter(
    (it) =>
      it.kind === kind && target.served.some((one) => one.kind === word && `${one.group}/${one.version}` === it.to),
  );
  return fitting.find((it) => it.from.some((one) => stored.includes(one))) ?? fitting[0];
}

/** How objects of a kind get from one cluster to the other: in which version they are asked for, and in which they arrive. */
export interface Route {
  /** apiVersion; absent where it is the one that the source prefers */
  from?: string;
  to: string;
  /** `deployments.apps`, as the target has it */
  resource: string;
  conversion?: Conversion;
}

/**
 * A version that both serve, that of the source first; else a conversion.
 *
 * @returns undefined: the target does not serve the kind, and nothing takes its place
 */
export function routeOf(kind: Kind, source: ClusterInventory, target: ClusterInventory): Route | undefined {
  const { kind: word, group } = splitKind(kind);
  const own = source.served.filter((it) => it.kind === word && it.group === group);
  const preferred = (own.find((it) => it.preferred) ?? own[0])?.version;
  const apiVersion = (version: string | undefined) => (group ? `${group}/${version}` : String(version));
  const common = commonVersions(kind, source, target);
  const there = target.served.filter((it) => it.kind === word && it.group === group);
  const version =
    common.find((it) => it === preferred) ??
    common.find((it) => it === there.find((one) => one.preferred)?.version) ??
    common[0];
  const resourceAt = (to: string) => {
    const found = target.served.find(
      (it) => it.kind === word && (it.group ? `${it.group}/${it.version}` : it.version) === to,
    );
    return found && (found.group ? `${found.resource}.${found.group}` : found.resource);
  };
  if (version !== undefined) {
    const to = apiVersion(version);
    return { ...(version !== preferred && { from: to }), to, resource: resourceAt(to) ?? '' };
  }
  const conversion = conversionFor(kind, source, target);
  if (!conversion) return undefined;
  const from = conversion.from.find((it) => own.some((one) => apiVersion(one.version) === it));
  return {
    ...(from !== undefined && from !== apiVersion(preferred) && { from }),
    to: conversion.to,
    resource: resourceAt(conversion.to) ?? '',
    conversion,
  };
}

/** The conversion that leads to an apiVersion, for an object as a server gave it out. */
export const conversionTo = (kind: Kind, to: string): Conversion | undefined =>
  CONVERSIONS.find((it) => it.kind === kind && it.to === to);

/** The kind's group may change with the version: Ingresses of extensions become those of networking.k8s.io. */
export const kindAfter = (kind: Kind, to: string): Kind =>
  to.includes('/') ? `${splitKind(kind).kind}.${groupOf(to)}` : splitKind(kind).kind;
