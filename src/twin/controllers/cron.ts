/** Schedules of CronJobs: five fields in UTC, lists, ranges, steps, names, and the @ words. @source robfig/cron v3 */

interface Schedule {
  minutes: Set<number>;
  hours: Set<number>;
  days: Set<number>;
  months: Set<number>;
  weekdays: Set<number>;
  anyDay: boolean;
  anyWeekday: boolean;
}

const WORDS: Record<string, string> = {
  '@yearly': '0 0 1 1 *',
  '@annually': '0 0 1 1 *',
  '@monthly': '0 0 1 * *',
  '@weekly': '0 0 * * 0',
  '@daily': '0 0 * * *',
  '@midnight': '0 0 * * *',
  '@hourly': '0 * * * *',
};
const MONTHS = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'];
const WEEKDAYS = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'];

function parseField(text: string, from: number, to: number, names: string[] = []): Set<number> {
  const value = (word: string): number => {
    const named = names.indexOf(word.toLowerCase());
    const number = named >= 0 ? named + from : Number(word);
    if (!Number.isInteger(number) || number < from || number > to)
      throw new RangeError(`not in ${from}-${to}: ${word}`);
    return number;
  };
  const values = new Set<number>();
  for (const part of text.split(',')) {
    const [range = '', step = '1'] = part.split('/');
    let [first, last] = [from, to];
    if (range !== '*' && range !== '?') {
      const [a, b] = range.split('-');
      first = value(a!);
      last = b === undefined ? (part.includes('/') ? to : first) : value(b);
    }
    if (!/^[1-9]\d*$/.test(step)) throw new RangeError(`not a step: ${part}`);
    for (let i = first; i <= last; i += Number(step)) values.add(i);
  }
  return values;
}

/** @throws RangeError  not a schedule */
export function parseSchedule(text: string): Schedule {
  const fields = (WORDS[text.trim()] ?? text).trim().split(/\s+/);
  if (fields.length !== 5) throw new RangeError(`not a schedule: ${text}`);
  const [minute, hour, day, month, weekday] = fields as [string, string, string, string, string];
  const weekdays = parseField(weekday.replaceAll('7', '0'), 0, 6, WEEKDAYS);
  return {
    minutes: parseField(minute, 0, 59),
    hours: parseField(hour, 0, 23),
    days: parseField(day, 1, 31),
    months: parseField(month, 1, 12, MONTHS),
    weekdays,
    anyDay: day.startsWith('*') || day === '?',
    anyWeekday: weekday.startsWith('*') || weekday === '?',
  };
}

/** With both day fields given, either is enough. */
function isDay(schedule: Schedule, at: Date): boolean {
  const day = schedule.days.has(at.getUTCDate());
  const weekday = schedule.weekdays.has(at.getUTCDay());
  return schedule.anyDay || schedule.anyWeekday ? day && weekday : day || weekday;
}

const YEARS = 5;

/** The first time after `afterMs`, in milliseconds; undefined when there is none within five years. */
export function nextTime(schedule: Schedule, afterMs: number): number | undefined {
  const at = new Date(Math.floor(afterMs / 60_000) * 60_000 + 60_000);
  const limit = at.getUTCFullYear() + YEARS;
  while (at.getUTCFullYear() <= limit) {
    if (!schedule.months.has(at.getUTCMonth() + 1)) {
      at.setUTCMonth(at.getUTCMonth() + 1, 1);
      at.setUTCHours(0, 0);
    } else if (!isDay(schedule, at)) {
      at.setUTCDate(at.getUTCDate() + 1);
      at.setUTCHours(0, 0);
    } else if (!schedule.hours.has(at.getUTCHours())) at.setUTCHours(at.getUTCHours() + 1, 0);
    else if (!schedule.minutes.has(at.getUTCMinutes())) at.setUTCMinutes(at.getUTCMinutes() + 1);
    else return at.getTime();
  }
  return undefined;
}
