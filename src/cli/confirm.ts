import { MigrateError } from '../errors.js';

/** Asks on a terminal; nobody is there to ask off one. @throws MigrateError NEEDS_YES */
export async function confirmOn(
  input: NodeJS.ReadStream,
  output: NodeJS.WriteStream,
  question: string,
): Promise<boolean> {
  if (!input.isTTY || !output.isTTY) {
    throw new MigrateError('NEEDS_YES', {
      what: question,
      why: 'This asks before it changes anything, and there is no terminal to ask on.',
      fix: 'Say yes beforehand: the same command with --yes (or MIGRATE_YES=1).',
    });
  }
  return /^y(es)?$/i.test((await ask(input, output, `${question} [y/N] `)).trim());
}

/** One line from the terminal; empty when it ends. */
export async function ask(input: NodeJS.ReadStream, output: NodeJS.WriteStream, question: string): Promise<string> {
  const { createInterface } = await import('node:readline/promises');
  const lines = createInterface({ input, output });
  const ended = new AbortController();
  lines.on('SIGINT', () => ended.abort()).on('close', () => ended.abort());
  try {
    return await lines.question(question, { signal: ended.signal });
  } catch {
    output.write('\n');
    return '';
  } finally {
    lines.close();
  }
}
