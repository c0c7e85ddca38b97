// The real npm @parse/node-apn, driven by one JSON document on stdin; prints a JSON array, one outcome per push.
// {options: {…of apn.Provider}, pushes: [{token, topic, pushType, payload, …of apn.Notification}], together: true = all but the first at once}
import { readFileSync } from 'node:fs';
import apn from '@parse/node-apn';

const { options, pushes, together } = JSON.parse(readFileSync(0, 'utf8'));
const provider = new apn.Provider(options);

async function send({ token, ...fields }) {
  const notification = new apn.Notification();
  Object.assign(notification, fields);
  const { sent, failed } = await provider.send(notification, token);
  if (sent.length) return { sent: true };
  const { status, response, error } = failed[0];
  return { sent: false, status, reason: response?.reason, timestamp: response?.timestamp, error: error?.message };
}

const outcomes = [];
for (const push of together ? pushes.slice(0, 1) : pushes) outcomes.push(await send(push));
if (together) outcomes.push(...(await Promise.all(pushes.slice(1).map(send))));
console.log(JSON.stringify(outcomes));
await provider.shutdown();
process.exit(0);
