import type { CheckText } from '../../check.js';
import type { CheckResult, JudgedFinding } from '../../preflight.js';
import { GROUPS, MARKS, countsText, type PreflightEvent } from './preflight.js';

/** A preflight report in the formats that other programs read. */

type Hints = ReadonlyMap<string, CheckText>;

/** undefined for formats that are no report */
export function reportIn(format: string, name: string, event: PreflightEvent, hints: Hints): string | undefined {
  switch (format) {
    case 'junit':
      return junit(name, event, hints);
    case 'sarif':
      return `${JSON.stringify(sarif(event, hints), undefined, 2)}\n`;
    case 'markdown':
      return markdown(name, event, hints);
    default:
      return undefined;
  }
}

const remedy = (result: CheckResult, finding: JudgedFinding, hints: Hints) =>
  finding.fix ?? hints.get(result.check)?.hint.fix ?? '';

/** `saw …; wanted …; breaks …` */
const evidence = ({ saw, want, breaks }: JudgedFinding) =>
  [`seen: ${saw}`, want !== undefined && `wanted: ${want}`, breaks !== undefined && `breaks: ${breaks}`]
    .filter(Boolean)
    .join('; ');

/**
 * One test case a check. What refuses fails it, and so does what could not be looked at; warnings and waivers pass, and stand in its output.
 * @source https://github.com/testmoapp/junitxml
 */
function junit(name: string, { report, tookMs }: PreflightEvent, hints: Hints): string {
  const { counts, results } = report;
  const bad = counts.refuse + counts.unknown;
  const head = `tests="${results.length}" failures="${bad}" skipped="${counts.skipped}" time="${(tookMs / 1000).toFixed(3)}"`;
  const suites = Object.entries(GROUPS).flatMap(([group, title]) => {
    const mine = results.filter((it) => it.group === group);
    if (mine.length === 0) return [];
    const failures = mine.filter((it) => it.outcome === 'refuse' || it.outcome === 'unknown').length;
    const skipped = mine.filter((it) => it.outcome === 'skipped').length;
    return [
      `  <testsuite name="${xml(title)}" tests="${mine.length}" failures="${failures}" skipped="${skipped}">`,
      ...mine.map((it) => testCase(name, it, hints)),
      '  </testsuite>',
    ];
  });
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    `<testsuites name="migrate preflight ${xml(name)}" ${head}>`,
    ...suites,
    '</testsuites>',
    '',
  ].join('\n');
}

function testCase(name: string, result: CheckResult, hints: Hints): string {
  const open = `    <testcase classname="${xml(`${name}.${result.group}`)}" name="${xml(result.check)}"`;
  const told = result.findings
    .map(
      (it) =>
        `${it.about}: ${evidence(it)}${it.waivedBy ? ` (waived by ${it.waivedBy.owner} until ${it.waivedBy.until})` : `; do: ${remedy(result, it, hints)}`}`,
    )
    .join('\n');
  switch (result.outcome) {
    case 'pass':
      return `${open}/>`;
    case 'skipped':
      return `${open}><skipped message="${xml(result.why ?? '')}"/></testcase>`;
    case 'unknown':
      return `${open}><failure type="unknown" message="${xml(result.why ?? '')}"/></testcase>`;
    case 'refuse':
      return `${open}><failure type="refuse" message="${xml(result.asks)}">${xml(told)}</failure></testcase>`;
    case 'warn':
    case 'waived':
      return `${open}><system-out>${xml(`${result.outcome}: ${told}`)}</system-out></testcase>`;
    default:
      return result.outcome satisfies never;
  }
}

// XML 1.0 has no way to write most control characters.
const xml = (text: string) =>
  text
    // oxlint-disable-next-line no-control-regex
    .replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/g, '\ufffd')
    .replace(/[&<>"]/g, (it) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' })[it] ?? it);

/**
 * One result a finding. Findings are about objects, not lines of a file, so places are logical; what is waived is suppressed.
 * @source https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html
 */
function sarif({ report }: PreflightEvent, hints: Hints): object {
  const rules = report.results.map(({ check, asks }) => {
    const text = hints.get(check);
    return {
      id: check,
      shortDescription: { text: asks },
      ...(text && {
        fullDescription: { text: text.hint.why },
        help: { text: text.hint.fix },
        properties: { group: text.group, sources: text.sources },
      }),
      defaultConfiguration: { level: text?.severity === 'warn' ? 'warning' : 'error' },
    };
  });
  return {
    $schema: 'https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json',
    version: '2.1.0',
    runs: [
      {
        tool: { driver: { name: 'migrate preflight', rules } },
        results: report.results.flatMap((it, index) => sarifResults(it, index, hints)),
      },
    ],
  };
}

/** A finding about a line of a file is shown beside that line; any other is about an object of a cluster. */
function locationOf(about: string): object {
  const [, file, line] = /^(.+\.(?:ya?ml|json)):(\d+)$/i.exec(about) ?? [];
  if (file === undefined) return { logicalLocations: [{ fullyQualifiedName: about, kind: 'resource' }] };
  const uri = file.replaceAll('\\', '/').split('/').map(encodeURIComponent).join('/');
  return { physicalLocation: { artifactLocation: { uri }, region: { startLine: Number(line) } } };
}

function sarifResults(result: CheckResult, ruleIndex: number, hints: Hints): object[] {
  const rule = { ruleId: result.check, ruleIndex };
  if (result.outcome === 'unknown')
    return [{ ...rule, level: 'error', kind: 'fail', message: { text: `Could not be answered: ${result.why ?? ''}` } }];
  return result.findings.map((finding) => ({
    ...rule,
    level: finding.severity === 'refuse' ? 'error' : 'warning',
    message: { text: `${finding.about}: ${evidence(finding)}. Do: ${remedy(result, finding, hints)}` },
    locations: [locationOf(finding.about)],
    partialFingerprints: { 'finding/v1': `${result.check}: ${finding.about}` },
    ...(finding.waivedBy && {
      suppressions: [
        {
          kind: 'external',
          status: 'accepted',
          justification: `${finding.waivedBy.because} (${finding.waivedBy.owner}, until ${finding.waivedBy.until})`,
        },
      ],
    }),
  }));
}

/** To paste into a ticket: a headline, what is wrong as a table, and what was looked at. */
function markdown(name: string, { report, source, target }: PreflightEvent, hints: Hints): string {
  const rows = report.results.flatMap((result) => {
    if (result.outcome === 'unknown')
      return [
        row([`? unknown`, result.check, '', result.why ?? '', 'Make it readable; unknown is never taken for fine.']),
      ];
    return result.findings.map((it) => {
      const outcome = it.waivedBy ? 'waived' : it.severity;
      const action = it.waivedBy
        ? `waived by ${it.waivedBy.owner} until ${it.waivedBy.until}: ${it.waivedBy.because}`
        : remedy(result, it, hints);
      return row([`${MARKS[outcome][0]} ${outcome}`, result.check, it.about, evidence(it), action]);
    });
  });
  const passed = report.results.filter((it) => it.outcome === 'pass').map((it) => `\`${it.check}\``);
  const skipped = report.results
    .filter((it) => it.outcome === 'skipped')
    .map((it) => `\`${it.check}\` (${it.why ?? ''})`);
  return [
    `## Preflight of ${name}: ${report.ready ? 'ready' : 'not ready'}`,
    '',
    `${source.context} (${source.version}) → ${target.context} (${target.version}). ${countsText(report)}.`,
    '',
    ...(rows.length > 0
      ? [row(['outcome', 'check', 'about', 'evidence', 'do']), row(['---', '---', '---', '---', '---']), ...rows, '']
      : []),
    ...(passed.length > 0 ? [`Passed: ${passed.join(', ')}.`, ''] : []),
    ...(skipped.length > 0 ? [`Skipped: ${skipped.join(', ')}.`, ''] : []),
  ].join('\n');
}

const row = (cells: string[]) =>
  `| ${cells.map((it) => it.replaceAll('|', '\\|').replaceAll('\n', '<br>')).join(' | ')} |`;
