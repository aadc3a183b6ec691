import http from 'node:http';
import https from 'node:https';
import type { DatabaseOf } from '../databases.js';
import { isMigrateError, MigrateError } from '../errors.js';
import type { Side } from '../ports.js';
import type { Etcd, EtcdMember } from '../standing.js';
import { spell } from '../words.js';
import { call, passwordOf, refused, unreachable, type DatabaseOptions } from './wire.js';

/**
 * etcd over the JSON gateway that every member has. Numbers of 64 bits are strings there, and zero is left out.
 *
 * @source https://etcd.io/docs/v3.6/dev-guide/api_grpc_gateway/, etcd-io/etcd:api/etcdserverpb/rpc.proto
 */
export async function etcdCluster(database: DatabaseOf<'etcd'>, options: DatabaseOptions): Promise<Etcd> {
  const { clock, tap } = options;
  const endpoints = (['source', 'target'] as const).flatMap((side) =>
    database[side].members.map((it) => ({ side, client: it.client.replace(/\/$/, '') })),
  );
  const login = database.source.user === undefined ? database.target : database.source;
  const password = login.user === undefined ? undefined : await passwordOf(login.password, options);
  let token: string | undefined;
  /** of the last answers; asked first */
  let favourite: string | undefined;

  async function post(client: string, path: string, body: object): Promise<Reply> {
    const { status, text } = await posted(`${client}${path}`, JSON.stringify(body), token);
    const json = JSON.parse(text) as Reply;
    if (status >= 200 && status < 300) return json;
    throw new Refused(String(json['message'] ?? json['error'] ?? status));
  }

  async function send(
    side: Side,
    who: string,
    act: string,
    writes: boolean,
    client: string,
    path: string,
    body: object,
  ) {
    return tap(call(side, act, writes), async () => {
      try {
        if (login.user !== undefined && token === undefined) {
          const { token: given } = await post(client, '/v3/auth/authenticate', { name: login.user, password });
          token = String(given);
        }
        return await post(client, path, body);
      } catch (error) {
        if (!(error instanceof Refused)) throw unreachable(who, error, [password]);
        if (/invalid auth token/.test(error.message)) token = undefined;
        throw refused(who, act, error, [password]);
      }
    });
  }

  /** The first that answers, the last one first. */
  async function anyone(act: string, writes: boolean, path: string, body: object): Promise<Reply> {
    const order = [...endpoints].sort((a, b) => Number(b.client === favourite) - Number(a.client === favourite));
    let last: unknown;
    for (const { side, client } of order) {
      try {
        const reply = await send(side, `etcd ${client}`, act, writes, client, path, body);
        favourite = client;
        return reply;
      } catch (error) {
        // One that was removed, is no member yet, or has no leader may know less than another.
        last = error;
        if (
          error instanceof MigrateError &&
          error.code === 'DB_REFUSED' &&
          writes &&
          !/no leader|stopped|removed|timed out|learner/.test(error.what)
        )
          throw error;
      }
    }
    throw last;
  }

  async function atLeader(act: string, path: string, body: object): Promise<void> {
    for (const deadline = clock.now() + 10_000; ; await clock.sleep(200)) {
      const members = await list();
      for (const it of members) {
        const found = it.client && !it.learner ? await status(it.client) : undefined;
        if (!found || found.leader === '0') continue;
        const leader = members.find((one) => one.id === found.leader);
        if (leader?.client)
          return void (await send(
            sideOf(leader.client),
            `etcd ${leader.client}`,
            act,
            true,
            leader.client,
            path,
            body,
          ));
      }
      if (clock.now() >= deadline)
        throw unreachable(`etcd ${database.name}`, new Error('no member knows a leader'), [password]);
    }
  }

  const sideOf = (client: string): Side => endpoints.find((it) => it.client === client)?.side ?? 'source';

  async function list(): Promise<EtcdMember[]> {
    const { members = [] } = (await anyone('answer', false, '/v3/cluster/member/list', { linearizable: true })) as {
      members?: { ID: string; name?: string; peerURLs?: string[]; clientURLs?: string[]; isLearner?: boolean }[];
    };
    const known = (['source', 'target'] as const).flatMap((side) => database[side].members);
    return members.map((it) => {
      const [peer = ''] = it.peerURLs ?? [];
      // What it tells others need not be what we reach.
      const entry = known.find((one) => (it.peerURLs ?? []).includes(one.peer));
      const client = (entry?.client ?? it.clientURLs?.[0] ?? '').replace(/\/$/, '');
      return { id: it.ID, name: it.name ?? '', peer: entry?.peer ?? peer, client, learner: it.isLearner === true };
    });
  }

  const status: Etcd['status'] = async (client) => {
    try {
      const it = (await send(
        sideOf(client),
        `etcd ${client}`,
        'answer',
        false,
        client,
        '/v3/maintenance/status',
        {},
      )) as {
        header?: { member_id?: string };
        leader?: string;
        raftAppliedIndex?: string;
        isLearner?: boolean;
        errors?: string[];
      };
      return {
        id: it.header?.member_id ?? '0',
        leader: it.leader ?? '0',
        applied: BigInt(it.raftAppliedIndex ?? '0'),
        learner: it.isLearner === true,
        alarms: (it.errors ?? []).filter((one) => /alarm/i.test(one)).length,
      };
    } catch {
      return undefined;
    }
  };

  return {
    members: list,
    status,
    add: async (peer) =>
      void (await anyone('add a learner', true, '/v3/cluster/member/add', { peerURLs: [peer], isLearner: true })),
    promote: (id) => atLeader('promote a learner', '/v3/cluster/member/promote', { ID: id }),
    remove: (id) => atLeader('remove a member', '/v3/cluster/member/remove', { ID: id }),
    lead: (id) => atLeader('move the leader', '/v3/maintenance/transfer-leadership', { targetID: id }),
    async hash(client, revision) {
      const body = { ...(revision !== undefined && { revision: String(revision) }) };
      try {
        // Before 3.6 this path is not there: HashKV shared one with Hash, which takes no revision.
        const it = (await send(
          sideOf(client),
          `etcd ${client}`,
          'answer',
          false,
          client,
          '/v3/maintenance/hashkv',
          body,
        )) as {
          header?: { revision?: string };
          hash?: number;
        };
        return { hash: String(it.hash ?? 0), revision: BigInt(it.header?.revision ?? '0') };
      } catch (error) {
        if (isMigrateError(error, 'DB_REFUSED') && /not found/i.test(error.what)) return undefined;
        throw error;
      }
    },
    async close() {},
  };
}

type Reply = Record<string, unknown>;
const ANSWER_MS = 8000;

/** The server answered, and not with what was asked. */
class Refused extends Error {
  override name = 'Refused';
}

/**
 * Not by fetch: where somebody takes the connection and closes it at once, as a port does behind which the member has gone, that of Node 20
 * never answers and holds nothing open, so that the process ends in the middle of a step without a word.
 */
const posted = (url: string, body: string, token: string | undefined): Promise<{ status: number; text: string }> =>
  new Promise((resolve, reject) => {
    const headers = {
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(body),
      ...(token !== undefined && { authorization: token }),
    };
    const { request } = url.startsWith('https:') ? https : http;
    const signal = AbortSignal.timeout(ANSWER_MS);
    const asked = request(url, { method: 'POST', headers, agent: false, signal }, (reply) => {
      const parts: Buffer[] = [];
      reply.on('data', (part: Buffer) => parts.push(part));
      reply.on('end', () => resolve({ status: reply.statusCode ?? 0, text: Buffer.concat(parts).toString('utf8') }));
      reply.on('error', reject);
    });
    asked.on('error', (error) => reject(signal.aborted ? new Error(`no answer within ${spell(ANSWER_MS)}`) : error));
    asked.end(body);
  });
