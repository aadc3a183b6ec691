import { Worker } from 'node:worker_threads';

const CALL = `
const { parentPort, workerData } = require('node:worker_threads');
import(workerData.module)
  .then((module) => module[workerData.name](...workerData.args))
  .then((result) => parentPort.postMessage(result));
`;

/**
 * Calls a function that a module exports in a thread of its own, and gives what it returns or throws. The test runner follows every promise of
 * its own thread, to know which test it belongs to; where whole migrations run by the hundred that is a quarter of the time.
 */
export function apart<T>(module: URL, name: string, ...args: unknown[]): Promise<T> {
  return new Promise((resolve, reject) => {
    const worker = new Worker(CALL, { eval: true, workerData: { module: module.href, name, args } });
    worker
      .once('message', resolve)
      .once('error', reject)
      .once('exit', (code) => reject(new Error(`the thread of ${name} ended with ${code} and gave nothing`)));
  });
}
