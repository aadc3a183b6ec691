import { isMigrateError } from '../errors.js';
import type { Dns, DnsRecord, DnsSet } from '../ports.js';

/** Just the calls that we make of the official client of Alibaba Cloud DNS; requests are plain objects of its fields. */
export interface AlidnsClient {
  describeDomainRecords(request: {
    domainName: string;
    RRKeyWord: string;
    type: string;
    line: string;
    pageNumber: number;
    pageSize: number;
  }): Promise<{ body?: { totalCount?: number; domainRecords?: { record?: RecordBody[] } } }>;
  addDomainRecord(request: RecordFields & { domainName: string }): Promise<{ body?: { recordId?: string } }>;
  updateDomainRecord(request: RecordFields & { recordId: string }): Promise<unknown>;
  deleteDomainRecord(request: { recordId: string }): Promise<unknown>;
  setDomainRecordStatus(request: { recordId: string; status: 'Enable' | 'Disable' }): Promise<unknown>;
  setDNSSLBStatus(request: {
    domainName: string;
    subDomain: string;
    type: string;
    line: string;
    open: boolean;
  }): Promise<unknown>;
  updateDNSSLBWeight(request: { recordId: string; weight: number }): Promise<unknown>;
}

interface RecordFields {
  RR: string;
  type: string;
  value: string;
  TTL: number;
  line: string;
}

interface RecordBody {
  recordId?: string;
  RR?: string;
  value?: string;
  TTL?: number;
  line?: string;
  status?: string;
  locked?: boolean;
  weight?: number;
  lbaStatus?: boolean;
}

export type CallAlidns = <T>(
  verb: string,
  what: string,
  writes: boolean,
  send: (client: AlidnsClient) => Promise<T>,
) => Promise<T>;

/** The most that one call gives. @source npm @alicloud/alidns20150109:src/models/DescribeDomainRecordsRequest.ts */
const PAGE = 500;

/** The Dns port over Alidns 2015-01-09. */
export function alibabaDns(call: CallAlidns): Dns {
  const records = async (set: DnsSet) => {
    const { domain, name, type, line } = set;
    const found: RecordBody[] = [];
    for (let pageNumber = 1, total = 1; (pageNumber - 1) * PAGE < total; pageNumber++) {
      const { body } = await call('DescribeDomainRecords', hostOf(set), false, (it) =>
        it.describeDomainRecords({ domainName: domain, RRKeyWord: name, type, line, pageNumber, pageSize: PAGE }),
      );
      found.push(...(body?.domainRecords?.record ?? []));
      total = body?.totalCount ?? 0;
    }
    // The key word finds parts of names too.
    const own = found.filter((it) => it.RR?.toLowerCase() === name.toLowerCase() && (it.line ?? line) === line);
    return { ...set, records: own.map(recordOf), weighted: own.some((it) => it.lbaStatus === true) };
  };

  const idOf = async (set: DnsSet, value: string) => (await records(set)).records.find((it) => it.value === value)?.id;

  return {
    records,

    async add(set, value, ttlS) {
      try {
        const { body } = await call('AddDomainRecord', hostOf(set), true, (it) =>
          it.addDomainRecord({ domainName: set.domain, ...fieldsOf(set, value, ttlS) }),
        );
        return body?.recordId ?? '';
      } catch (error) {
        const id = refusedAs(error, 'DomainRecordDuplicate') ? await idOf(set, value) : undefined;
        if (id === undefined) throw error;
        return id;
      }
    },

    change: (set, id, value, ttlS) =>
      unless('DomainRecordDuplicate', () =>
        call('UpdateDomainRecord', `${hostOf(set)} ${id}`, true, (it) =>
          it.updateDomainRecord({ recordId: id, ...fieldsOf(set, value, ttlS) }),
        ),
      ),

    remove: (id) =>
      unless('DomainRecordNotBelongToUser', () =>
        call('DeleteDomainRecord', id, true, (it) => it.deleteDomainRecord({ recordId: id })),
      ),

    async enable(id, on) {
      await call('SetDomainRecordStatus', id, true, (it) =>
        it.setDomainRecordStatus({ recordId: id, status: on ? 'Enable' : 'Disable' }),
      );
    },

    async setWeight(id, weight) {
      await call('UpdateDNSSLBWeight', id, true, (it) => it.updateDNSSLBWeight({ recordId: id, weight }));
    },

    async weigh(set, on) {
      const { domain, name, type, line } = set;
      await call('SetDNSSLBStatus', hostOf(set), true, (it) =>
        it.setDNSSLBStatus({ domainName: domain, subDomain: `${name}.${domain}`, type, line, open: on }),
      );
    },
  };
}

const hostOf = ({ domain, name }: DnsSet) => (name === '@' ? domain : `${name}.${domain}`);

const fieldsOf = ({ name, type, line }: DnsSet, value: string, ttlS: number): RecordFields => ({
  RR: name,
  type,
  value,
  TTL: ttlS,
  line,
});

const recordOf = (it: RecordBody): DnsRecord => ({
  id: it.recordId ?? '',
  value: it.value ?? '',
  ttlS: it.TTL ?? 600,
  enabled: it.status?.toUpperCase() !== 'DISABLE',
  locked: it.locked === true,
  weight: it.weight ?? 1,
});

const refusedAs = (error: unknown, code: string) =>
  isMigrateError(error, 'CLOUD_REFUSED') && error.what.endsWith(`(${code}).`);

/** A refusal that says that it is so already. */
async function unless(code: string, send: () => Promise<unknown>): Promise<void> {
  try {
    await send();
  } catch (error) {
    if (!refusedAs(error, code)) throw error;
  }
}
