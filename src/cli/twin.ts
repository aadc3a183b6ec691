import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { EndedEvent } from '../events.js';
import { startTwin } from '../twin/twin.js';
import { findPlaybook, readPlaybook } from './playbooks.js';
import type { Io } from './program.js';
import { seedOf } from './seeds.js';
import { readInventory, readWorld, worldFor } from './worlds.js';

const SETTLE_MS = 20_000;

export interface TwinFlags {
  /** a playbook, as typed */
  typed?: string;
  shipped: string;
  world?: string;
  inventory?: string;
  kubeconfig: string;
}

/** `migrate twin`: two clusters and a cloud on loopback ports, in real time, until Ctrl-C. */
export async function twin(flags: TwinFlags, { emit, stopping }: Io): Promise<EndedEvent> {
  const started = await startTwin(await seedFrom(flags), { clock: 'real', tls: true });
  try {
    // Pods start in real time here: a preflight right after would find them on the way up.
    await started.settle(SETTLE_MS);
    const kubeconfig = path.resolve(flags.kubeconfig);
    await started.writeKubeconfig(kubeconfig);
    emit({
      type: 'twin',
      kubeconfig,
      contexts: { source: started.source.context, target: started.target.context },
      environment: {
        KUBECONFIG: kubeconfig,
        MIGRATE_ALIBABA_ENDPOINT: started.cloud.url,
        ALIBABA_CLOUD_ACCESS_KEY_ID: started.cloud.accessKeyId,
        ALIBABA_CLOUD_ACCESS_KEY_SECRET: started.cloud.accessKeySecret,
      },
    });
    while (!stopping()) await sleep(200);
  } finally {
    await started.stop();
  }
  return { type: 'ended', outcome: 'done', exit: 0 };
}

async function seedFrom({ typed, shipped, world, inventory }: TwinFlags) {
  if (world !== undefined) return readWorld(world);
  const file = findPlaybook(typed, shipped);
  const playbook = await readPlaybook(file);
  const seed =
    inventory === undefined ? worldFor(file, playbook, undefined) : seedOf(playbook, readInventory(inventory));
  // The playbook's own names, so that it can be run against the twin as it stands.
  return {
    ...seed,
    source: { ...seed.source, context: playbook.source.context },
    target: { ...seed.target, context: playbook.target.context },
  };
}
