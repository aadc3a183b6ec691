import { spawn, type ChildProcess } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

/** The repository, from the compiled file. */
export const ROOT = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..');
export const BIN = path.join(ROOT, 'bin', 'migrate.js');

export interface Finished {
  code: number | null;
  stdout: string;
  stderr: string;
}

/** A directory of its own, as an operator who has nothing but these files and the program. */
export class Place {
  readonly dir = mkdtempSync(path.join(os.tmpdir(), 'migrate-cli-'));

  constructor(files: Record<string, string> = {}) {
    for (const [name, text] of Object.entries(files)) this.write(name, text);
  }

  write(name: string, text: string): void {
    mkdirSync(path.dirname(path.join(this.dir, name)), { recursive: true });
    writeFileSync(path.join(this.dir, name), text);
  }

  /** every file under it; empty directories do not count */
  files(): string[] {
    return readdirSync(this.dir, { recursive: true, withFileTypes: true })
      .filter((it) => it.isFile())
      .map((it) => path.relative(this.dir, path.join(it.parentPath, it.name)))
      .sort();
  }

  start(args: readonly string[], env: Record<string, string> = {}): ChildProcess {
    return spawn(process.execPath, [BIN, ...args], {
      cwd: this.dir,
      env: { ...clean(), HOME: this.dir, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
  }

  async run(args: readonly string[], env: Record<string, string> = {}): Promise<Finished> {
    return finished(this.start(args, env));
  }

  remove(): void {
    rmSync(this.dir, { recursive: true, force: true });
  }
}

export function finished(child: ChildProcess): Promise<Finished> {
  const told = { stdout: '', stderr: '' };
  for (const stream of ['stdout', 'stderr'] as const)
    child[stream]?.setEncoding('utf8').on('data', (text: string) => (told[stream] += text));
  return new Promise((resolve, reject) => {
    child.on('error', reject).on('close', (code) => resolve({ code, ...told }));
  });
}

/** Nothing of the machine's own settings. */
const clean = () =>
  Object.fromEntries(
    Object.entries(process.env).filter(
      ([name]) => !/^(MIGRATE_|ALIBABA_|KUBECONFIG$|NO_COLOR$|FORCE_COLOR$|CI$|COLUMNS$|NODE_)/.test(name),
    ),
  );

export const linesOf = (text: string): Record<string, unknown>[] =>
  text
    .split('\n')
    .filter((it) => it !== '')
    .map((it) => JSON.parse(it) as Record<string, unknown>);
