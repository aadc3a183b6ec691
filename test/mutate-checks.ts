import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { checks } from '../checks/index.js';
import type { Check } from '../src/check.js';
import { askedOf, casesOf, compare, outcomeOf, type Case } from './cases.js';
import type { Asked } from './worlds.js';

/**
 * Turns conditions of the compiled checks round, one at a time, and asks their cases: a change that no case notices is a
 * condition that nothing holds. Beside the file it came from, so that its imports resolve; it is gone again afterwards.
 */
export interface Mutant {
  check: string;
  line: number;
  /** the line as it stands, and the place that was changed */
  code: string;
  change: string;
  text: string;
}

export interface Survivor extends Omit<Mutant, 'text'> {}

const COMPILED = fileURLToPath(new URL('../checks/', import.meta.url));

/** @param only  ids; all when there are none */
export async function survivors(only: readonly string[] = []): Promise<{ mutants: number; survivors: Survivor[] }> {
  const left: Survivor[] = [];
  let mutants = 0;
  for (const check of checks.filter((it) => only.length === 0 || only.includes(it.id))) {
    const file = path.join(COMPILED, check.group, `${check.id}.js`);
    const cases = casesOf(check).map((one) => ({ one, asked: askedOf(check, one) }));
    for (const mutant of mutantsOf(check.id, readFileSync(file, 'utf8'))) {
      mutants++;
      if (!(await isKilled(mutant, file, check, cases, mutants)))
        left.push({ check: mutant.check, line: mutant.line, code: mutant.code, change: mutant.change });
    }
  }
  return { mutants, survivors: left };
}

async function isKilled(
  { text }: Mutant,
  file: string,
  check: Check,
  cases: readonly { one: Case; asked: Asked }[],
  serial: number,
): Promise<boolean> {
  const mutated = file.replace(/\.js$/, `.mutant-${process.pid}-${serial}.js`);
  writeFileSync(mutated, text);
  try {
    const exported = Object.values((await import(pathToFileURL(mutated).href)) as Record<string, unknown>);
    const changed = exported.find((it) => (it as Check | undefined)?.id === check.id) as Check;
    return cases.some(({ one, asked }) => !holds(changed, one, asked));
  } catch {
    return true;
  } finally {
    rmSync(mutated);
  }
}

function holds(check: Check, one: Case, asked: Asked): boolean {
  try {
    compare(outcomeOf(check, asked), one);
    return true;
  } catch {
    return false;
  }
}

/** Words of code and what each becomes. */
const SWAPS: [RegExp, string][] = [
  [/ && /g, ' || '],
  [/ \|\| /g, ' && '],
  [/ === /g, ' !== '],
  [/ !== /g, ' === '],
  [/ < /g, ' <= '],
  [/ <= /g, ' < '],
  [/ > /g, ' >= '],
  [/ >= /g, ' > '],
  [/\.some\(/g, '.every('],
  [/\.every\(/g, '.some('],
];

export function mutantsOf(check: string, text: string): Mutant[] {
  const code = blanked(text);
  const found: Mutant[] = [];
  const takes = takesIn(code);
  const add = (from: number, to: number, instead: string, change: string) => {
    const start = text.lastIndexOf('\n', from) + 1;
    const end = text.indexOf('\n', from);
    // What a look keeps for the check is held by fold.test, over the same cases.
    if (takes.some(([first, last]) => from >= first && from <= last)) return;
    found.push({
      check,
      line: text.slice(0, from).split('\n').length,
      code: text.slice(start, end < 0 ? undefined : end).trim(),
      change,
      text: text.slice(0, from) + instead + text.slice(to),
    });
  };
  for (const [pattern, instead] of SWAPS)
    for (const { 0: was, index } of code.matchAll(pattern))
      add(
        index,
        index + was.length,
        instead,
        `${was.trim()} → ${instead.trim()} at ${text.slice(Math.max(0, index - 20), index + 24).replace(/\s+/g, ' ')}`,
      );
  for (const { 0: was, index } of code.matchAll(/\bif \(/g)) {
    const open = index + was.length - 1;
    const close = closing(code, open);
    add(open, close + 1, `(!${text.slice(open, close + 1)})`, 'the condition turned round');
  }
  for (const { 0: was, index } of code.matchAll(/\.filter\(/g)) {
    const open = index + was.length - 1;
    const close = closing(code, open);
    add(
      open,
      close + 1,
      `(((f) => (...all) => !f(...all))${text.slice(open, close + 1)})`,
      `the filter turned round: ${text
        .slice(open, close + 1)
        .replace(/\s+/g, ' ')
        .slice(0, 60)}`,
    );
  }
  return found;
}

/** From each `takes:` to the comma or line that ends it, over whatever brackets it opens. */
function takesIn(code: string): [number, number][] {
  return [...code.matchAll(/^\s*takes:/gm)].map(({ index, 0: was }) => {
    let depth = 0;
    let at = index + was.length;
    for (; at < code.length; at++) {
      if ('([{'.includes(code[at] ?? ' ')) depth++;
      if (')]}'.includes(code[at] ?? ' ')) depth--;
      if (depth < 0 || (depth === 0 && code[at] === ',')) break;
    }
    return [index, at];
  });
}

function closing(code: string, open: number): number {
  let depth = 0;
  for (let at = open; at < code.length; at++) {
    if (code[at] === '(') depth++;
    if (code[at] === ')' && --depth === 0) return at;
  }
  throw new Error('a parenthesis is not closed');
}

/** The text with strings, comments and regular expressions blanked, everything at its place; code inside `${…}` stays. */
export function blanked(text: string): string {
  const out = text.split('');
  const blank = (from: number, to: number) => {
    for (let at = from; at < to; at++) if (out[at] !== '\n') out[at] = '_';
  };
  // What is open around the place: the braces of a `${`, counted.
  const templates: number[] = [];
  let at = 0;
  const skipTemplate = () => {
    const from = at;
    while (at < text.length && text[at] !== '`' && !text.startsWith('${', at)) at += text[at] === '\\' ? 2 : 1;
    blank(from, at);
    if (text.startsWith('${', at)) {
      templates.push(0);
      at += 2;
    } else at++;
  };
  while (at < text.length) {
    const here = text[at];
    if (text.startsWith('//', at) || text.startsWith('/*', at)) {
      const end = text.startsWith('//', at) ? text.indexOf('\n', at) : text.indexOf('*/', at) + 2;
      blank(at, end < 0 ? text.length : end);
      at = end < 0 ? text.length : end;
    } else if (here === "'" || here === '"') {
      const from = at++;
      while (text[at] !== here) at += text[at] === '\\' ? 2 : 1;
      blank(from, ++at);
    } else if (here === '`') {
      at++;
      skipTemplate();
    } else if (here === '/' && /[(,=:[!&|?{};>]\s*$/.test(text.slice(Math.max(0, at - 10), at))) {
      const from = at++;
      let inClass = false;
      while (inClass || text[at] !== '/') {
        if (text[at] === '[') inClass = true;
        if (text[at] === ']') inClass = false;
        at += text[at] === '\\' ? 2 : 1;
      }
      blank(from, ++at);
    } else {
      const open = templates.at(-1);
      if (open !== undefined && here === '{') templates[templates.length - 1] = open + 1;
      if (open !== undefined && here === '}') {
        if (open > 0) templates[templates.length - 1] = open - 1;
        else {
          templates.pop();
          at++;
          skipTemplate();
          continue;
        }
      }
      at++;
    }
  }
  return out.join('');
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { mutants, survivors: left } = await survivors(process.argv.slice(2));
  for (const it of left) process.stdout.write(`${it.check}:${it.line}  ${it.change}\n    ${it.code}\n`);
  process.stdout.write(`${mutants} mutants, ${left.length} survived\n`);
}
