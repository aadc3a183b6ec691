import type { Json } from '../../types.js';
import { refuse } from '../errors.js';
import { pageOf } from '../paging.js';
import { invalid, missing, type Parameters } from '../parameters.js';
import type { Action, Context } from '../product.js';
import { findDomain, findRecord, mustBeFree, splitSubDomain } from './find.js';
import { digitsOf, type DnsRecord, type DnsState, EDITIONS, fullName, MAX_TTL_S, setKey, setOf } from './state.js';

const fields = (state: DnsState, it: DnsRecord): Json => ({
  RecordId: it.id,
  DomainName: it.domain,
  RR: it.rr,
  Type: it.type,
  Value: it.value,
  TTL: it.ttlS,
  Line: it.line,
  Status: it.status,
  Locked: it.locked,
  Weight: it.weight,
  LbaStatus: state.weighted.has(setKey(it)),
  ...(it.priority === undefined ? {} : { Priority: it.priority }),
});

const has = (text: string, part: string | undefined): boolean =>
  part === undefined || text.toLowerCase().includes(part.toLowerCase());
const is = (text: string, wanted: string | undefined): boolean =>
  wanted === undefined || text.toLowerCase() === wanted.toLowerCase();

type Shape = Pick<DnsRecord, 'rr' | 'domain' | 'type' | 'value' | 'line' | 'ttlS' | 'priority'>;

const TYPES = ['A', 'AAAA', 'CNAME', 'MX', 'NS', 'TXT', 'SRV', 'CAA', 'REDIRECT_URL', 'FORWARD_URL'] as const;

function shapeOf(parameters: Parameters, domain: string, { state }: Context): Shape {
  const edition = EDITIONS[state.dns.domains.get(domain)?.edition ?? 'mianfei'];
  const type = TYPES.find((it) => it === parameters.required('Type').toUpperCase()) ?? invalid('Type');
  const priority = parameters.integer('Priority', 1, 50);
  if (type === 'MX' && priority === undefined) missing('Priority');
  const ttlS = parameters.integer('TTL', 1, MAX_TTL_S) ?? Math.max(600, edition.minTtlS);
  if (ttlS < edition.minTtlS)
    refuse(400, 'QuotaExceeded.TTL', `The TTL of this edition is at least ${edition.minTtlS} seconds.`);
  return {
    rr: parameters.required('RR').toLowerCase(),
    domain,
    type,
    value: parameters.required('Value').replace(/\.$/, ''),
    line: parameters.text('Line') ?? 'default',
    ttlS,
    priority,
  };
}

/** @param own  the record that takes this shape; undefined for a new one */
function mustFit(shape: Shape, own: DnsRecord | undefined, { state: { dns } }: Context): void {
  const beside = setOf(dns, shape);
  // An update that changes nothing is a duplicate as well.
  if (
    beside.some(
      (it) =>
        it.value === shape.value &&
        (it !== own || (it.ttlS === shape.ttlS && it.priority === shape.priority && it.rr === shape.rr)),
    )
  )
    refuse(400, 'DomainRecordDuplicate', 'The domain record is duplicated.');
  const sameName = [...dns.records.values()].filter(
    (it) => it !== own && fullName(it) === fullName(shape) && it.line === shape.line && it.status === 'ENABLE',
  );
  const isCname = shape.type === 'CNAME';
  if (sameName.some((it) => (it.type === 'CNAME') !== isCname))
    refuse(400, 'DomainRecordConflict', 'The domain record is conflict with other records.');
  const { recordsPerSet } = EDITIONS[dns.domains.get(shape.domain)?.edition ?? 'mianfei'];
  if (beside.filter((it) => it !== own).length >= recordsPerSet)
    refuse(
      400,
      shape.type === 'A' || shape.type === 'AAAA' ? 'QuotaExceeded.ARecord' : 'QuotaExceeded.Record',
      `You can't add this domain record because the {"${shape.type} ${shape.rr} ${shape.line}"} record has been out of MAX count.`,
    );
}

export const recordActions: Record<string, Action> = {
  DescribeDomainRecords: {
    requires: ['DomainName'],
    run(parameters, context) {
      const { name } = findDomain(parameters, context);
      const exact = parameters.text('SearchMode') === 'EXACT' || parameters.text('SearchMode') === 'COMBINATION';
      const host = parameters.text('RRKeyWord');
      const { dns } = context.state;
      const found = [...dns.records.values()].filter(
        (it) =>
          it.domain === name &&
          (exact ? is(it.rr, host) : has(it.rr, host)) &&
          has(it.value, parameters.text('ValueKeyWord')) &&
          is(it.type, parameters.text('Type') ?? parameters.text('TypeKeyWord')) &&
          is(it.line, parameters.text('Line')) &&
          is(it.status, parameters.text('Status')),
      );
      const page = pageOf(found, parameters, { size: 20, maxSize: 500 });
      return { ...page.fields, DomainRecords: { Record: page.items.map((it) => fields(dns, it)) } };
    },
  },

  DescribeSubDomainRecords: {
    requires: ['SubDomain'],
    run(parameters, context) {
      const { rr, domain } = splitSubDomain(parameters, context);
      const { dns } = context.state;
      const found = [...dns.records.values()].filter(
        (it) =>
          it.domain === domain &&
          it.rr === rr &&
          is(it.type, parameters.text('Type')) &&
          is(it.line, parameters.text('Line')),
      );
      const page = pageOf(found, parameters, { size: 20, maxSize: 100 });
      const shown = page.items.map((it) => {
        const { LbaStatus: _, ...rest } = fields(dns, it);
        return rest;
      });
      return { ...page.fields, DomainRecords: { Record: shown } };
    },
  },

  DescribeDomainRecordInfo: {
    requires: ['RecordId'],
    run(parameters, context) {
      const { Weight: _, LbaStatus: __, ...rest } = fields(context.state.dns, findRecord(parameters, context));
      return rest;
    },
  },

  AddDomainRecord: {
    requires: ['DomainName', 'RR', 'Type', 'Value'],
    run(parameters, context) {
      const { name } = findDomain(parameters, context);
      const shape = shapeOf(parameters, name, context);
      mustFit(shape, undefined, context);
      const id = digitsOf(context.ids('record', name, shape.rr, shape.type, shape.value));
      context.state.dns.records.set(id, { id, ...shape, status: 'ENABLE', locked: false, weight: 1 });
      return { RecordId: id };
    },
  },

  UpdateDomainRecord: {
    requires: ['RecordId', 'RR', 'Type', 'Value'],
    run(parameters, context) {
      const record = findRecord(parameters, context);
      mustBeFree(record);
      const shape = shapeOf(parameters, record.domain, context);
      mustFit(shape, record, context);
      Object.assign(record, shape);
      return { RecordId: record.id };
    },
  },

  DeleteDomainRecord: {
    requires: ['RecordId'],
    run(parameters, context) {
      const record = findRecord(parameters, context);
      mustBeFree(record);
      const { dns } = context.state;
      dns.records.delete(record.id);
      if (setOf(dns, record).length < 2) dns.weighted.delete(setKey(record));
      return { RecordId: record.id };
    },
  },

  SetDomainRecordStatus: {
    requires: ['RecordId', 'Status'],
    run(parameters, context) {
      const record = findRecord(parameters, context);
      mustBeFree(record);
      const status = parameters.required('Status').toLowerCase();
      if (status !== 'enable' && status !== 'disable') invalid('Status');
      if (status === 'enable' && record.status === 'DISABLE') {
        const others = [...context.state.dns.records.values()].filter(
          (it) =>
            it !== record && fullName(it) === fullName(record) && it.line === record.line && it.status === 'ENABLE',
        );
        if (others.some((it) => (it.type === 'CNAME') !== (record.type === 'CNAME')))
          refuse(400, 'DomainRecordConflict', 'The domain record is conflict with other records.');
      }
      record.status = status === 'enable' ? 'ENABLE' : 'DISABLE';
      return { RecordId: record.id, Status: status === 'enable' ? 'Enable' : 'Disable' };
    },
  },
};
