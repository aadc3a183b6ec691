/** A reporter that only counts tests, not the suites around them nor the files: { passed, failed, skipped } as JSON. */
export default async function* count(events) {
  const counts = { passed: 0, failed: 0, skipped: 0 };
  for await (const { type, data } of events) {
    if (type !== 'test:pass' && type !== 'test:fail') continue;
    // A file that could not be loaded fails as a test of the file's name: that counts. One that passed is no test.
    const isFile = data.name === data.file || data.name.endsWith('.test.js');
    if (data.details?.type === 'suite' || (isFile && type === 'test:pass')) continue;
    if (data.skip !== undefined || data.todo !== undefined) counts.skipped++;
    else counts[type === 'test:pass' ? 'passed' : 'failed']++;
  }
  yield JSON.stringify(counts);
}
