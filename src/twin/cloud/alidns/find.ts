import { refuse } from '../errors.js';
import type { Parameters } from '../parameters.js';
import type { Context } from '../product.js';
import type { DnsRecord, Domain } from './state.js';

/** @source https://www.alibabacloud.com/help/doc-detail/34315.htm, vendor page of AddDomainRecord: IncorrectDomainUser */
export const findDomain = (parameters: Parameters, { state }: Context): Domain =>
  state.dns.domains.get(parameters.required('DomainName').toLowerCase()) ??
  refuse(400, 'IncorrectDomainUser', 'The domain name does not belong to this user.');

/** @source https://www.alibabacloud.com/help/doc-detail/34316.htm */
export const findRecord = (parameters: Parameters, { state }: Context): DnsRecord =>
  state.dns.records.get(parameters.required('RecordId')) ??
  refuse(400, 'DomainRecordNotBelongToUser', 'The domain record does not belong to this user.');

export function mustBeFree(record: DnsRecord): void {
  if (record.locked) refuse(400, 'DomainRecordLocked', 'The domain record has been locked.');
}

/**
 * `a.www.example.com` as host part and domain: by the domain where the request says it, else by the longest of the account's.
 * @source npm @alicloud/alidns20150109:src/models/DescribeSubDomainRecordsRequest.ts
 */
export function splitSubDomain(parameters: Parameters, { state }: Context): { rr: string; domain: string } {
  const full = parameters.required('SubDomain').toLowerCase();
  const said = parameters.text('DomainName')?.toLowerCase();
  const domain = [...state.dns.domains.keys()]
    .filter((it) => (said ?? it) === it && (full === it || full.endsWith(`.${it}`)))
    .sort((a, b) => b.length - a.length)[0];
  if (domain === undefined) return refuse(400, 'IncorrectDomainUser', 'The domain name does not belong to this user.');
  return { rr: full === domain ? '@' : full.slice(0, -domain.length - 1), domain };
}
