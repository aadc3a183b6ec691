import type { SideSight } from '../src/check.js';
import { isReady } from '../src/objects.js';
import type { KubeObject } from '../src/ports.js';
import type { NodeExpression, NodeTerm, PodSpec } from './pods.js';

/** Nodes that take new pods: Ready and not cordoned. */
export const usableNodes = (side: SideSight): KubeObject[] =>
  side.list('Node').filter((it) => isReady(it) && it['spec']?.unschedulable !== true);

export const regionOf = ({ metadata }: KubeObject): string | undefined =>
  metadata.labels?.['topology.kubernetes.io/region'] ?? metadata.labels?.['failure-domain.beta.kubernetes.io/region'];

/** @source kubernetes/component-helpers:scheduling/corev1/nodeaffinity/nodeaffinity.go */
export function matches(
  { metadata }: KubeObject,
  { key, operator, values = [] }: NodeExpression,
  field = false,
): boolean {
  const value = field ? (key === 'metadata.name' ? metadata.name : undefined) : metadata.labels?.[key];
  switch (operator) {
    case 'In':
      return value !== undefined && values.includes(value);
    case 'NotIn':
      return value === undefined || !values.includes(value);
    case 'Exists':
      return value !== undefined;
    case 'DoesNotExist':
      return value === undefined;
    case 'Gt':
      return value !== undefined && Number(value) > Number(values[0]);
    case 'Lt':
      return value !== undefined && Number(value) < Number(values[0]);
    default:
      return false;
  }
}

/** A term without any expression matches no node. */
export const matchesTerm = (node: KubeObject, { matchExpressions = [], matchFields = [] }: NodeTerm): boolean =>
  matchExpressions.length + matchFields.length > 0 &&
  matchExpressions.every((it) => matches(node, it)) &&
  matchFields.every((it) => matches(node, it, true));

/** Terms are alternatives; none at all is no requirement. */
export const matchesAny = (node: KubeObject, terms: readonly NodeTerm[] | undefined): boolean =>
  !terms || terms.some((it) => matchesTerm(node, it));

export const requiredTerms = (spec: PodSpec): NodeTerm[] | undefined =>
  spec.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution?.nodeSelectorTerms;

export const selectorOf = (spec: PodSpec): NodeExpression[] =>
  Object.entries(spec.nodeSelector ?? {}).map(([key, value]) => ({ key, operator: 'In', values: [value] }));

/** Where mayRunOn looks in a pod. */
export const PLACEMENT = [
  'spec.nodeSelector',
  'spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution',
];

/** Whether the pod's own words let it run there; taints and room are other questions. */
export const mayRunOn = (spec: PodSpec, node: KubeObject): boolean =>
  selectorOf(spec).every((it) => matches(node, it)) && matchesAny(node, requiredTerms(spec));
