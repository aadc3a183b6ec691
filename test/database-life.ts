import { readSync, writeSync } from 'node:fs';
import { completeDatabases, type Database } from '../src/databases.js';
import { fileStore } from '../src/journal.js';
import type { Tap } from '../src/ports.js';
import { ownPrograms } from '../src/program.js';
import { rollback } from '../src/rollback.js';
import { run } from '../src/run.js';
import type { Phase } from '../src/step.js';
import { planFor, stageOn } from './database-stage.js';

/**
 * A process that carries the steps of one database, with its journal in a file, as `migrate` does. Before and after each effect it says so
 * on its standard output and stands still until it is answered on its standard input: whoever started it lets it go on, or ends it there by
 * SIGKILL. An effect is a statement that changes a server, a program that is run, or a line of the journal. Passwords are in its environment.
 */
export interface LifeOrders {
  database: Database;
  act: 'run' | 'rollback';
  phases: Phase[];
  journal: string;
}

export type LifeLine = { at: 'before' | 'after'; effect: string } | { ended: string; error?: string };

async function live({ database, act, phases, journal }: LifeOrders): Promise<void> {
  const store = fileStore(journal);
  const { engine } = stageOn(
    {
      read: () => store.read(),
      append(line) {
        const { type, step } = JSON.parse(line) as { type: string; step: string | { id: string } };
        const effect = `journal: ${type} ${typeof step === 'string' ? step : step.id}`;
        ask({ at: 'before', effect });
        store.append(line);
        ask({ at: 'after', effect });
      },
    },
    {
      env: process.env,
      tap,
      programs: {
        run: (command, question, deadlineMs) => {
          const what = `program ${command.at(-1) ?? ''}`;
          return tap({ to: 'target', verb: 'run', what, writes: true }, () =>
            ownPrograms.run(command, question, deadlineMs),
          );
        },
      },
    },
  );
  const plan = planFor([database]);
  const steps = [
    ...plan.steps,
    ...completeDatabases(
      [database],
      plan.steps.map((it) => it.id),
    ),
  ];
  const ended = act === 'run' ? await run({ ...plan, steps }, phases, engine) : await rollback(undefined, engine);
  say({ ended: ended.outcome, ...(ended.outcome === 'stopped' && { error: String(ended.error) }) });
}

const tap: Tap = async (call, send) => {
  if (!call.writes) return send();
  const effect = `${call.to}: ${call.what}`;
  ask({ at: 'before', effect });
  try {
    return await send();
  } finally {
    // A refusal is an answer too.
    ask({ at: 'after', effect });
  }
};

const say = (line: LifeLine) => void writeSync(1, `${JSON.stringify(line)}\n`);

/** Stands still, all of it: what runs side by side shall not go on meanwhile. */
function ask(line: LifeLine): void {
  say(line);
  readSync(0, Buffer.alloc(1));
}

await live(JSON.parse(process.argv[2] ?? '') as LifeOrders);
