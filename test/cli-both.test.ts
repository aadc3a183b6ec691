import assert from 'node:assert/strict';
import { type ChildProcess } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { finished, Place } from './cli.js';
import { pairOf } from './pair.js';

/** These worlds have no kube-proxy to look at. */
const WAIVED = `preflight:
  waive:
    - { check: kube-proxy-mode, about: unknown, because: a world without kube-proxy, owner: tests, until: 2999-01-01 }
    - { check: endpoint-changes, about: unknown, because: a world without kube-proxy, owner: tests, until: 2999-01-01 }
`;

/** Two clusters that serve side by side, in real time, by the command: one of them dies, comes back, and both stay. */
describe('two sides by the command', () => {
  const { text, seed } = pairOf({ perSecond: 10, traffic: 'steps: [20, 100], hold: 1s' });
  const playbook = text.replace('target: { context: new,', 'target: { context: new, clusterId: c-new,') + WAIVED;
  const place = new Place({ 'pair.yaml': playbook, 'pair.world.yaml': JSON.stringify(seed) });
  let twin: ChildProcess;
  let env: Record<string, string> = {};
  /** the same with nobody at the source's address */
  let past: Record<string, string> = {};

  before(async () => {
    twin = place.start(['twin', 'pair.yaml', '--kubeconfig', 'twin.config']);
    let told = '';
    await new Promise<void>((resolve, reject) => {
      twin.on('close', () => reject(new Error(`the twin ended: ${told}`)));
      twin.stdout?.setEncoding('utf8').on('data', (more: string) => {
        told += more;
        if (told.includes('# contexts')) resolve();
      });
    });
    env = Object.fromEntries([...told.matchAll(/^export ([A-Z_]+)=(.*)$/gm)].map((it) => [it[1] ?? '', it[2] ?? '']));
    const kubeconfig = readFileSync(env['KUBECONFIG'] ?? '', 'utf8');
    const [, server = ''] = /name: "old"\n\s+cluster: \{ server: "([^"]+)"/.exec(kubeconfig) ?? [];
    assert.notEqual(server, '', kubeconfig);
    const dead = path.join(place.dir, 'dead.config');
    // Nobody listens on port 9 of a loopback address of its own.
    writeFileSync(dead, kubeconfig.replace(server, 'https://127.0.0.9:9'), { mode: 0o600 });
    past = { ...env, KUBECONFIG: dead };
  });

  after(async () => {
    twin.removeAllListeners('close');
    const closed = finished(twin);
    twin.kill('SIGINT');
    await closed;
    place.remove();
  });

  const command = async (args: string[], world: Record<string, string>) => {
    const { code, stdout, stderr } = await place.run([...args, '-f', 'pair.yaml'], world);
    return { code, told: stdout + stderr };
  };

  test('a share of 20 % stays for good, and may be moved on', async () => {
    const early = await command(['complete', '--keep-both', '--yes'], env);
    assert.equal(early.code, 1, early.told);
    assert.match(early.told, /NOT_COMPLETE[\s\S]*No share was moved yet/);

    const shifted = await command(['shift', '--to', '20', '--yes'], env);
    assert.equal(shifted.code, 0, shifted.told);
    const kept = await command(['complete', '--keep-both', '--yes'], env);
    assert.equal(kept.code, 0, kept.told);
    assert.match(kept.told, /both serve[\s\S]*both sides stay as they are; migrate shift --to N moves the share again/);
    const status = await command(['status'], env);
    assert.equal(status.code, 0, status.told);
    assert.match(status.told, /complete[\s\S]*both sides stay as they are/);
  });

  test('with the source dead everything goes to the target, and what it owes is said until it is done', async () => {
    const refused = await command(['shift', '--to', '100', '--yes', '--timeout', '500ms'], past);
    assert.notEqual(refused.code, 0, refused.told);
    const moved = await command(['shift', '--to', '100', '--source-down', '--yes'], past);
    assert.equal(moved.code, 0, moved.told);
    assert.match(moved.told, /The source is taken for dead: no preflight/);
    assert.match(moved.told, /0 % source, 100 % target[\s\S]*before its controller does: migrate shift --to 100/);
    const status = await command(['status'], past);
    assert.match(status.told, /migrate shift --to 100/);

    const told = await command(['shift', '--to', '100', '--yes'], env);
    assert.equal(told.code, 0, told.told);
    const after = await command(['status'], env);
    assert.doesNotMatch(after.told, /before its controller does/);
    assert.match(after.told, /100 %/);
  });

  test('and all the way back', async () => {
    const back = await command(['rollback', '--yes'], env);
    assert.equal(back.code, 0, back.told);
    assert.match(back.told, /100 % source, 0 % target/);
  });
});
