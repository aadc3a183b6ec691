import type { SideSight } from '../src/check.js';
import type { KubeObject } from '../src/ports.js';
import type { NodeExpression, NodeTerm, PodSpec } from './pods.js';

/** Nodes that take new pods: Ready and not cordoned. */
export const usableNodes = (side: SideSight): KubeObject[] =>
  side.list('Node').filter((node) => {
    const conditions: { type: string; status: string }[] = node['status']?.conditions ?? [];
    const ready = conditions.find((it) => it.type === 'Ready');
    return ready?.status === 'True' && node['spec']?.unschedulable !== true;
  });

export const ZONE_KEYS = ['topology.kubernetes.io/zone', 'failure-domain.beta.kubernetes.io/zone', 'topology.diskplugin.csi.alibabacloud.com/zone'];
const REGION_KEYS = ['topology.kubernetes.io/region', 'failure-domain.beta.kubernetes.io/region'];

const firstOf = ({ metadata }: KubeObject, keys: readonly string[]) => keys.map((key) => metadata.labels?.[key]).find((it) => it !== undefined);
export const zoneOf = (node: KubeObject) => firstOf(node, ZONE_KEYS);
export const regionOf = (node: KubeObject) => firstOf(node, REGION_KEYS);

/** `cn-hangzhou.i-1` or `alicloud://cn-hangzhou.i-1` → `i-1` */
export const instanceOf = (node: KubeObject): string | undefined => /(?:^|[./])(i-[\w-]+)$/.exec(String(node['spec']?.providerID ?? ''))?.[1];

/** @source kubernetes/component-helpers:scheduling/corev1/nodeaffinity/nodeaffinity.go */
export function matches({ metadata }: KubeObject, { key, operator, values = [] }: NodeExpression, field = false): boolean {
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
export const matchesAny = (node: KubeObject, terms: readonly NodeTerm[] | undefined): boolean => !terms || terms.some((it) => matchesTerm(node, it));

export const requiredTerms = (spec: PodSpec): NodeTerm[] | undefined =>
  spec.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution?.nodeSelectorTerms;

export const selectorOf = (spec: PodSpec): NodeExpression[] =>
  Object.entries(spec.nodeSelector ?? {}).map(([key, value]) => ({ key, operator: 'In', values: [value] }));

/** Whether the pod's own words let it run there; taints and room are other questions. */
export const mayRunOn = (spec: PodSpec, node: KubeObject): boolean => selectorOf(spec).every((it) => matches(node, it)) && matchesAny(node, requiredTerms(spec));
