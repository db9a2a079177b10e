/** OpenTelemetry spans, if the standard variables ask for them. Otherwise `traced` only does the work. */
import type { Tracer } from '@opentelemetry/api';
import type { Logger } from './log.ts';
import { withTimeout } from './time.ts';
import { version } from './version.ts';

type Environment = Readonly<Record<string, string | undefined>>;

const NAME = 'flowlu-mirror';
/** The default of OTEL_EXPORTER_OTLP_PROTOCOL, and the only supported value. */
const PROTOCOL = 'http/protobuf';
/** The value of `SpanStatusCode.ERROR`, whose module is loaded only if needed. */
const FAILED = 2;
/** Longest wait for sending the last spans, on which nothing depends. */
const END_MAX_MS = 3_000;
/** In characters: the SDK writes an error with its stack. */
const PROBLEM_MAX = 300;

let tracer: Tracer | null = null;

/** Runs `work` as a span. Spans and attributes hold no data of records; of an error, only its kind. */
export function traced<T>(
  name: string,
  attributes: Readonly<Record<string, string | number>>,
  work: () => Promise<T>,
): Promise<T> {
  if (tracer === null) return work();
  return tracer.startActiveSpan(name, { attributes }, (span) =>
    work()
      .catch((error: Error & { kind?: string; code?: string }) => {
        span.setStatus({ code: FAILED }).setAttribute('error.type', error.kind ?? error.code ?? error.name);
        throw error;
      })
      .finally(() => span.end()),
  );
}

/** Begins to send spans, if `env` asks for it. @returns what sends the last ones and stops; neither ever throws */
export async function startTracing(env: Environment, log: Logger): Promise<() => Promise<void>> {
  const { OTEL_EXPORTER_OTLP_TRACES_PROTOCOL: own, OTEL_EXPORTER_OTLP_PROTOCOL: common } = env;
  const protocol = own || common || PROTOCOL;
  if (!isAskedFor(env)) return async () => {};
  try {
    if (protocol !== PROTOCOL)
      throw new Error(`${protocol} is not spoken; set OTEL_EXPORTER_OTLP_PROTOCOL=${PROTOCOL}`);
    const { provider, api } = await load();
    let isToldOf = false;
    const report = (problem: string) => {
      // Repeats every few seconds while the receiver is down; one warning is enough.
      log[isToldOf ? 'debug' : 'warn']({ problem: problem.slice(0, PROBLEM_MAX) }, 'traces could not be sent');
      isToldOf = true;
    };
    const ignore = () => {};
    api.diag.setLogger({ error: report, warn: ignore, info: ignore, debug: ignore, verbose: ignore });
    tracer = provider.getTracer(NAME, version);
    return async () => {
      tracer = null;
      await withTimeout(provider.shutdown(), END_MAX_MS).catch((error) => report(String(error)));
      for (const part of [api.trace, api.context, api.propagation, api.diag]) part.disable();
    };
  } catch (err) {
    log.warn({ err }, 'no traces are sent, though OTEL_ variables ask for them');
    return async () => {};
  }
}

function isAskedFor(env: Environment): boolean {
  const { OTEL_SDK_DISABLED, OTEL_TRACES_EXPORTER, OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_EXPORTER_OTLP_TRACES_ENDPOINT } =
    env;
  if (OTEL_SDK_DISABLED?.toLowerCase() === 'true') return false;
  if (OTEL_TRACES_EXPORTER) return OTEL_TRACES_EXPORTER.split(',').some((name) => name.trim() === 'otlp');
  return Boolean(OTEL_EXPORTER_OTLP_ENDPOINT || OTEL_EXPORTER_OTLP_TRACES_ENDPOINT);
}

/** Loads the SDK, which reads the other standard variables. It takes a second, and only if spans are asked for. */
async function load() {
  const [api, { BatchSpanProcessor, NodeTracerProvider }, { OTLPTraceExporter }, resources] = await Promise.all([
    import('@opentelemetry/api'),
    import('@opentelemetry/sdk-trace-node'),
    import('@opentelemetry/exporter-trace-otlp-proto'),
    import('@opentelemetry/resources'),
  ]);
  const { defaultResource, detectResources, envDetector, resourceFromAttributes } = resources;
  const provider = new NodeTracerProvider({
    resource: defaultResource()
      .merge(resourceFromAttributes({ 'service.name': NAME, 'service.version': version }))
      .merge(detectResources({ detectors: [envDetector] })),
    spanProcessors: [new BatchSpanProcessor(new OTLPTraceExporter())],
  });
  provider.register();
  return { provider, api };
}
