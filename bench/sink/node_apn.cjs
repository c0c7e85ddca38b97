// The peer of the engine: @parse/node-apn sends alerts to the sink; prints one JSON line.
// node node_apn.cjs PORT CA_FILE KEY_FILE COUNT IN_FLIGHT NODE_MODULES
const [port, caFile, keyFile, count, inFlight, modules] = process.argv.slice(2);
const fs = require('node:fs');
const crypto = require('node:crypto');
const apn = require(modules + '/@parse/node-apn');

const provider = new apn.MultiProvider({
  token: { key: keyFile, keyId: 'ABCDE12345', teamId: 'FGHIJ67890' },
  clientCount: 2, production: false, address: '127.0.0.1', port: +port, ca: [fs.readFileSync(caFile)],
});
const body = { aps: { alert: { title: 'Payment', body: 'Approve 1000 EUR?' }, sound: 'default' }, operation: 'x'.repeat(180) };
const tokens = Array.from({ length: 1000 }, () => crypto.randomBytes(32).toString('hex'));

async function send(i) {
  const note = new apn.Notification();
  note.topic = 'com.example.bank';
  note.pushType = 'alert';
  note.priority = 10;
  note.expiry = 0;
  note.id = crypto.randomUUID();
  note.rawPayload = body;
  const result = await provider.send(note, tokens[i % 1000]);
  if (result.sent.length !== 1) throw new Error(JSON.stringify(result.failed[0]));
}

async function run(total) {
  let next = 0;
  const worker = async () => { while (next < total) await send(next++); };
  await Promise.all(Array.from({ length: +inFlight }, worker));
}

(async () => {
  await send(0);
  await run(2000);
  const before = process.cpuUsage();
  await run(+count);
  const used = process.cpuUsage(before);
  console.log(JSON.stringify({ requests: +count, cpuSeconds: (used.user + used.system) / 1e6 }));
  process.exit(0);
})().catch((error) => { console.error(error); process.exit(1); });
