import assert from 'node:assert/strict';
import { test } from 'node:test';
import { kept } from '../src/redact.js';
import { casesOf } from './cases.js';

/** The one that a case of the webhooks is signed with: for `x`, until 2126. */
const certificate =
  /"caBundle":"([^"]+)"/.exec(JSON.stringify(casesOf({ group: 'admission', id: 'webhooks' })))?.[1] ?? '';
const key = Buffer.from('a private key').toString('base64');
const secret = (type: string, data: Record<string, string>) =>
  kept({ apiVersion: 'v1', kind: 'Secret', type, metadata: { name: 'web', namespace: 'shop' }, data });

test('of a TLS Secret its end and its names are kept, and neither certificate nor key', () => {
  const seen = secret('kubernetes.io/tls', { 'tls.crt': certificate, 'tls.key': key });
  assert.deepEqual(seen['certificate'], { notAfter: '2126-10-28T13:37:33.000Z', names: ['x'] });
  assert.deepEqual(seen['data'], { 'tls.crt': '', 'tls.key': '' });
});

test('what is no certificate, or lies in another kind of Secret, is not read', () => {
  assert.equal('certificate' in secret('kubernetes.io/tls', { 'tls.crt': key }), false);
  assert.equal('certificate' in secret('kubernetes.io/tls', {}), false);
  assert.equal('certificate' in secret('Opaque', { 'tls.crt': certificate }), false);
});
