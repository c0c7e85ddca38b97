// The real npm web-push, driven by one JSON document on stdin; prints the status and the headers of the answer.
// {ca, subscription, payload, options: {…of web-push}, vapid: true = with keys of its own}
import { readFileSync } from 'node:fs';
import { Agent } from 'node:https';
import webPush from 'web-push';

const { ca, subscription, payload, options } = JSON.parse(readFileSync(0, 'utf8'));
const keys = options.vapidKeys ?? webPush.generateVAPIDKeys();
const details = { vapidDetails: { subject: 'mailto:test@example.com', ...keys } };
const agent = new Agent({ ca: readFileSync(ca) });
try {
  const { statusCode, headers } = await webPush.sendNotification(subscription, payload, { ...details, ...options, agent });
  console.log(JSON.stringify({ status: statusCode, headers, publicKey: keys.publicKey }));
} catch (error) {
  console.log(JSON.stringify({ status: error.statusCode, headers: error.headers, body: error.body, publicKey: keys.publicKey }));
}
