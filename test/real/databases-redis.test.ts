import { after, before, test } from 'node:test';
import { Redis } from 'ioredis';
import type { Side } from '../../src/ports.js';
import { startChecker, untilServed, type Checker } from '../checker.js';
import { killedAtEach, thereAndBack } from '../database-exercise.js';
import { killedOutright } from '../database-kills.js';
import { entry } from '../database-stage.js';
import { databaseFamily, startRedis } from '../servers/databases.js';

const family = databaseFamily();
const ports: Record<Side, number> = { source: 0, target: 0 };
const env = { CARTS: 'r3dis-c4n4ry' };
let checker: Checker;

async function connect(side: Side): Promise<Redis> {
  const client = new Redis({
    host: '127.0.0.1',
    port: ports[side],
    password: env.CARTS,
    lazyConnect: true,
    retryStrategy: () => null,
    maxRetriesPerRequest: 0,
    enableOfflineQueue: false,
  });
  client.on('error', () => undefined);
  await client.connect();
  return client;
}

async function written(side: Side): Promise<Set<number>> {
  const client = await connect(side);
  const all = await client.smembers('orders');
  client.disconnect();
  return new Set(all.map(Number));
}

const database = (more: object = {}) =>
  entry({
    kind: 'redis',
    name: 'shop/carts',
    source: { host: '127.0.0.1', port: ports.source, password: { env: 'CARTS' } },
    target: { host: '127.0.0.1', port: ports.target, password: { env: 'CARTS' } },
    ...more,
  });

before(async () => {
  const [source, target] = await Promise.all([startRedis(family, 'source'), startRedis(family, 'target')]);
  ports.source = source.port;
  ports.target = target.port;
  // The checker writes to both from the start; an empty target that took its writes would be a writer of its own.
  const closed = await connect('target');
  await closed.config('SET', 'min-replicas-to-write', '1000000');
  closed.disconnect();
  checker = startChecker({
    connect: async (side) => {
      const client = await connect(side);
      return {
        write: async (id) => {
          try {
            await client.sadd('orders', id);
          } catch (error) {
            throw Object.assign(error as Error, { refused: (error as Error).name === 'ReplyError' });
          }
        },
        close: () => client.disconnect(),
      };
    },
  });
  await untilServed(checker, 'source');
});

after(async () => {
  await checker?.stop();
  await family.stop();
});

const exercise = (more?: object) => ({ database: database(more), env, checker, held: written });

test('Redis: a replica is copied under steady writes, takes them over, and gives them back', (t) =>
  thereAndBack(t, exercise({ replica: 'build' }), 3));

test('Redis: killed at each step, the switch-over goes on and goes back', (t) => killedAtEach(t, exercise(), 8));

test('Redis: the process is ended by SIGKILL at each step, and goes on, goes back, and lets go', (t) =>
  killedOutright(t, exercise(), { least: 12, turned: 4, ending: true }));
