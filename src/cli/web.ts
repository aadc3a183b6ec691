import http from 'node:http';
import https from 'node:https';
import type { Web, WebReply, WebRequest } from '../ports.js';

const MOST_BYTES = 1 << 20;

/** Requests to Prometheus and webhooks. A token is read from the environment when it is sent, and told to nobody. */
export function httpWeb(env: Record<string, string | undefined>): Web {
  return {
    ask(request) {
      const { tokenFrom } = request;
      const token = tokenFrom === undefined ? undefined : env[tokenFrom];
      if (tokenFrom !== undefined && (token === undefined || token === ''))
        return Promise.resolve({ status: 0, text: '', error: `the environment variable ${tokenFrom} is not set` });
      return send(request, token);
    },
  };
}

function send({ method, url, form, json, timeoutMs }: WebRequest, token: string | undefined): Promise<WebReply> {
  const body = form ? String(new URLSearchParams(form)) : json === undefined ? undefined : JSON.stringify(json);
  const headers = {
    accept: 'application/json',
    'user-agent': 'migrate',
    ...(body !== undefined && {
      'content-type': form ? 'application/x-www-form-urlencoded' : 'application/json',
      'content-length': Buffer.byteLength(body),
    }),
    ...(token !== undefined && { authorization: `Bearer ${token}` }),
  };
  return new Promise((resolve) => {
    const { request } = url.startsWith('https:') ? https : http;
    const failed = (error: string) => resolve({ status: 0, text: '', error });
    const asked = request(url, { method, headers, agent: false, signal: AbortSignal.timeout(timeoutMs) }, (reply) => {
      const parts: Buffer[] = [];
      let bytes = 0;
      reply.on('data', (part: Buffer) => {
        bytes += part.length;
        if (bytes <= MOST_BYTES) parts.push(part);
        else reply.destroy(new Error(`an answer of more than ${MOST_BYTES} bytes`));
      });
      reply.on('end', () => resolve({ status: reply.statusCode ?? 0, text: Buffer.concat(parts).toString('utf8') }));
      reply.on('error', (error) => failed(worded(error, timeoutMs)));
    });
    asked.on('error', (error) => failed(worded(error, timeoutMs)));
    asked.end(body);
  });
}

function worded(error: NodeJS.ErrnoException, timeoutMs: number): string {
  if (error.name === 'TimeoutError' || error.code === 'ABORT_ERR') return `no answer within ${timeoutMs / 1000} s`;
  return error.code ?? error.message;
}
