import { containers, type PodSpec } from './pods.js';

/** Amounts as checks need them: where they stand in a pod, and what is beside the ordinary ones. */

export { add, amount, requestsOf, spelled, type Amounts } from '../src/quantities.js';

/** Where requestsOf looks in a pod. */
export const REQUESTS = ['spec.containers.resources', 'spec.initContainers.resources', 'spec.overhead'];

/** Resources beside those that every node has: GPUs, huge pages, network interfaces. */
export const extended = (spec: PodSpec): string[] =>
  [
    ...new Set(containers(spec).flatMap((it) => Object.keys({ ...it.resources?.requests, ...it.resources?.limits }))),
  ].filter((it) => it.startsWith('hugepages-') || (it.includes('/') && !/(^|\.)kubernetes\.io\//.test(it)));
