import type { EndedEvent } from '../events.js';
import { readPlaybook } from './playbooks.js';
import type { Io } from './program.js';

/** All complaints at once, or what the playbook says in one line. */
export async function validate(file: string, { emit }: Io): Promise<EndedEvent> {
  const { name, source, target, data, traffic } = await readPlaybook(file);
  emit({
    type: 'valid',
    file,
    name,
    source: source.context,
    target: target.context,
    namespaces: data?.namespaces ?? [],
    services: (traffic?.services ?? []).map((it) => it.service),
    steps: traffic?.steps ?? [],
  });
  return { type: 'ended', outcome: 'done', exit: 0, next: 'migrate preflight' };
}
