import { MigrateError } from '../errors.js';
import type { Cluster, Side } from '../ports.js';

/** In the place of a cluster that is not there: the side is servers alone. It has nothing, serves nothing and takes nothing. */
export function noCluster(side: Side): Cluster {
  const refused = (): Promise<never> =>
    Promise.reject(
      new MigrateError('KUBE_NOT_SERVED', {
        what: `The ${side} has no cluster.`,
        why: 'The playbook names servers there and no context.',
        fix: 'Name a context where this step needs one.',
      }),
    );
  return {
    side,
    identify: () => Promise.resolve({ uid: NO_UID, version: '', server: '' }),
    served: () => Promise.resolve({ kinds: [], failed: [] }),
    list: () => Promise.resolve([]),
    each: () => Promise.resolve(),
    get: () => Promise.resolve(undefined),
    create: refused,
    patch: refused,
    apply: refused,
    delete: () => Promise.resolve(),
    can: (rights) => Promise.resolve(rights.map((it) => ({ ...it, allowed: false }))),
    dryRun: refused,
    lines: () => Promise.resolve([]),
  };
}

const NO_UID = 'no-cluster';

/** In the place of a cluster that is given up for dead: nobody waits for it. Every call is KUBE_UNREACHABLE at once. */
export function deadCluster(side: Side): Cluster {
  const dead = (): Promise<never> =>
    Promise.reject(
      new MigrateError('KUBE_UNREACHABLE', {
        what: `The ${side} is taken for dead, as the command said.`,
        why: 'This step needs its API server.',
        fix: `Do it without \`--${side}-down\` once it answers.`,
      }),
    );
  return {
    side,
    identify: dead,
    served: dead,
    list: dead,
    each: dead,
    get: dead,
    create: dead,
    patch: dead,
    apply: dead,
    delete: dead,
    can: dead,
    dryRun: dead,
    lines: dead,
  };
}
