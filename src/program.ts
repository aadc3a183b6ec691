import { spawn } from 'node:child_process';
import { MigrateError } from './errors.js';
import type { Programs } from './ports.js';
import { hideIn } from './redact.js';
import { spell } from './words.js';

/** A question of ours and its answer are a few hundred bytes; a program that writes without end must not fill our memory. */
const MAX_ANSWER = 1024 * 1024;
const MAX_TOLD = 600;
/** sysexits.h: EX_TEMPFAIL */
const TRY_AGAIN = 75;

/**
 * Runs programs of the operator's own: never through a shell, one question as JSON on standard input, one answer as JSON on standard
 * output. They get our environment, for their own credentials are there.
 */
export const ownPrograms: Programs = {
  run: (command, question, deadlineMs) =>
    new Promise((resolve, reject) => {
      const [file = '', ...args] = command;
      const child = spawn(file, args, { shell: false, stdio: ['pipe', 'pipe', 'pipe'], windowsHide: true });
      let answer = '';
      let told = '';
      let late = false;
      const timer = setTimeout(() => {
        late = true;
        child.kill('SIGKILL');
        // A grandchild may hold the pipes open for longer than its parent lives.
        for (const pipe of [child.stdin, child.stdout, child.stderr]) pipe.destroy();
      }, deadlineMs);
      const failed = (what: string, retryable = false) => {
        clearTimeout(timer);
        reject(failure(file, what, told, retryable));
      };

      child.stdout.setEncoding('utf8').on('data', (text: string) => {
        answer += text;
        if (answer.length > MAX_ANSWER) child.kill('SIGKILL');
      });
      child.stderr.setEncoding('utf8').on('data', (text: string) => {
        told = (told + text).slice(-4 * MAX_TOLD);
      });
      // It may end without having read the question.
      child.stdin.on('error', () => {});
      child.on('error', (error: NodeJS.ErrnoException) => failed(`can't be started (${error.code ?? error.name})`));
      child.on('close', (code, signal) => {
        clearTimeout(timer);
        if (late) failed(`gave no answer within ${spell(deadlineMs)} and was stopped`, true);
        else if (answer.length > MAX_ANSWER) failed('wrote more than a mebibyte and was stopped');
        else if (code !== 0)
          failed(code === null ? `was ended by ${signal}` : `ended with code ${code}`, code === TRY_AGAIN);
        else resolve(answer);
      });
      child.stdin.end(`${JSON.stringify(question)}\n`);
    }),
};

function failure(file: string, what: string, told: string, retryable: boolean): MigrateError {
  const words = lastWords(told);
  return new MigrateError('PROGRAM_FAILED', {
    what: `${file} ${what}.`,
    why: words === '' ? 'It wrote nothing to standard error.' : `It said: ${words}`,
    fix: 'Run it by hand with the same question (docs/exec-router.md), then run again: every question can be asked twice.',
    retryable,
    unsure: true,
  });
}

/** The end of what it wrote, in one line, without control characters and credentials. */
function lastWords(told: string): string {
  // oxlint-disable-next-line eslint/no-control-regex
  const plain = hideIn(told).replace(/\u001b\[[0-9;]*[A-Za-z]|[\u0000-\u0008\u000b-\u001f\u007f]/g, '');
  const line = plain.replace(/\s+/g, ' ').trim();
  return line.length > MAX_TOLD ? `…${line.slice(-MAX_TOLD)}` : line;
}
