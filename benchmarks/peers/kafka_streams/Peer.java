import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.CountDownLatch;
import org.apache.avro.Schema;
import org.apache.avro.SchemaNormalization;
import org.apache.avro.generic.GenericData;
import org.apache.avro.generic.GenericDatumReader;
import org.apache.avro.generic.GenericDatumWriter;
import org.apache.avro.generic.GenericRecord;
import org.apache.avro.io.BinaryDecoder;
import org.apache.avro.io.BinaryEncoder;
import org.apache.avro.io.DecoderFactory;
import org.apache.avro.io.EncoderFactory;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.Stores;

/**
 * The job of peers/job.py in Kafka Streams: an in-memory store with its changelog, one thread.
 *
 * <p>Arguments: BOOTSTRAP SOURCE PREFIX GUARANTEE SCHEMAS STATE_DIR, where GUARANTEE is
 * at_least_once or exactly_once_v2 and SCHEMAS the folder of the .avsc files.
 */
public final class Peer {
  private static final int HEADER_BYTES = 10; // C3 01 and the fingerprint

  /** What the store keeps of a person; in bytes: orders, total, last seen, then the stage. */
  private record Profile(long orders, long total, long lastSeen, String stage) {
    static final Profile NOBODY = new Profile(0, 0, 0, "lead");

    byte[] toBytes() {
      byte[] name = stage.getBytes(StandardCharsets.UTF_8);
      return ByteBuffer.allocate(24 + name.length)
          .putLong(orders).putLong(total).putLong(lastSeen).put(name).array();
    }

    static Profile of(byte[] bytes) {
      ByteBuffer in = ByteBuffer.wrap(bytes);
      long orders = in.getLong(), total = in.getLong(), lastSeen = in.getLong();
      return new Profile(orders, total, lastSeen,
          new String(bytes, 24, bytes.length - 24, StandardCharsets.UTF_8));
    }
  }

  private static final class Fold implements Processor<byte[], byte[], byte[], byte[]> {
    private final GenericDatumReader<GenericRecord> reader;
    private final GenericDatumWriter<GenericRecord> writer;
    private final Schema actionSchema;
    private final byte[] actionHeader;
    private final byte[] touchpointHeader;
    private final BinaryDecoder decoder = DecoderFactory.get().binaryDecoder(new byte[0], null);
    private BinaryEncoder encoder;
    private ProcessorContext<byte[], byte[]> context;
    private KeyValueStore<String, Profile> profiles;
    private boolean begun;

    Fold(Schema touchpoint, Schema action) {
      GenericData data = new GenericData();
      data.setFastReaderEnabled(true);
      reader = new GenericDatumReader<>(touchpoint, touchpoint, data);
      writer = new GenericDatumWriter<>(action, data);
      actionSchema = action;
      actionHeader = header(action);
      touchpointHeader = header(touchpoint);
    }

    @Override
    public void init(ProcessorContext<byte[], byte[]> context) {
      this.context = context;
      profiles = context.getStateStore("profiles");
    }

    @Override
    public void process(Record<byte[], byte[]> record) {
      if (!begun) {
        begun = true;
        System.out.println("first");
        System.out.flush();
      }
      GenericRecord touchpoint = decode(record.value());
      String user = (String) touchpoint.get("user_id");
      Profile before = profiles.get(user);
      if (before == null) {
        before = Profile.NOBODY;
      }
      long seen = Math.max(before.lastSeen(), (Long) touchpoint.get("occurred_at"));
      GenericRecord payload = (GenericRecord) touchpoint.get("payload");
      if (!payload.getSchema().getName().equals("OrderPaid")) {
        profiles.put(user, new Profile(before.orders(), before.total(), seen, before.stage()));
        return;
      }
      long orders = before.orders() + 1;
      long total = before.total() + (Long) payload.get("amount_minor");
      String stage = orders == 1 ? "new" : orders < 5 ? "repeat" : "loyal";
      profiles.put(user, new Profile(orders, total, seen, stage));
      if (orders % 5 == 0) {
        byte[] action = ask(user, (String) touchpoint.get("event_id"), orders, total, seen, stage);
        context.forward(record.withValue(action));
      }
    }

    private GenericRecord decode(byte[] value) {
      for (int i = 0; i < HEADER_BYTES; i++) {
        if (value[i] != touchpointHeader[i]) {
          throw new IllegalArgumentException("not a touchpoint of this schema");
        }
      }
      try {
        DecoderFactory.get()
            .binaryDecoder(value, HEADER_BYTES, value.length - HEADER_BYTES, decoder);
        return reader.read(null, decoder);
      } catch (IOException error) {
        throw new IllegalArgumentException("the touchpoint is damaged", error);
      }
    }

    private byte[] ask(
        String user, String event, long orders, long total, long seen, String stage) {
      GenericRecord action = new GenericData.Record(actionSchema);
      for (Schema.Field field : actionSchema.getFields()) {
        if (field.hasDefaultValue()) {
          action.put(field.pos(), GenericData.get().getDefaultValue(field));
        }
      }
      Map<String, String> params = new HashMap<>();
      params.put("orders", Long.toString(orders));
      params.put("total", Long.toString(total));
      params.put("stage", stage);
      action.put("action_id", user + "-" + orders);
      action.put("user_id", user);
      action.put("family", "message");
      action.put("template", "fifth_order");
      action.put("params", params);
      action.put("due_at", seen);
      action.put("playbook", "peers");
      action.put("playbook_version", 1);
      action.put("sop", "fifth-order");
      action.put("sop_version", 1);
      action.put("entry_key", event);
      action.put("step", "1");
      action.put("cause_kind", "event");
      action.put("cause_id", event);
      java.io.ByteArrayOutputStream out = new java.io.ByteArrayOutputStream(256);
      out.writeBytes(actionHeader);
      encoder = EncoderFactory.get().binaryEncoder(out, encoder);
      try {
        writer.write(action, encoder);
        encoder.flush();
      } catch (IOException error) {
        throw new IllegalStateException("an action cannot be encoded", error);
      }
      return out.toByteArray();
    }
  }

  private static byte[] header(Schema schema) {
    return ByteBuffer.allocate(HEADER_BYTES).order(ByteOrder.LITTLE_ENDIAN)
        .put((byte) 0xC3).put((byte) 0x01)
        .putLong(SchemaNormalization.parsingFingerprint64(schema)).array();
  }

  /** Read a schema, with strings as java.lang.String, which decodes faster than it converts. */
  private static Schema load(Path file) throws IOException {
    String text = Files.readString(file);
    Schema schema = new Schema.Parser().parse(text);
    stringsOf(schema, new java.util.HashSet<>());
    return schema;
  }

  private static void stringsOf(Schema schema, java.util.Set<String> seen) {
    switch (schema.getType()) {
      case STRING -> GenericData.setStringType(schema, GenericData.StringType.String);
      case RECORD -> {
        if (seen.add(schema.getFullName())) {
          schema.getFields().forEach(field -> stringsOf(field.schema(), seen));
        }
      }
      case UNION -> schema.getTypes().forEach(branch -> stringsOf(branch, seen));
      case MAP -> {
        GenericData.setStringType(schema, GenericData.StringType.String);
        stringsOf(schema.getValueType(), seen);
      }
      case ARRAY -> stringsOf(schema.getElementType(), seen);
      default -> { }
    }
  }

  private static Properties properties(String[] args) {
    Properties given = new Properties();
    given.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, args[0]);
    given.put(StreamsConfig.APPLICATION_ID_CONFIG, args[2] + "group");
    given.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, args[3]);
    given.put(StreamsConfig.STATE_DIR_CONFIG, args[5]);
    given.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, 1);
    // The default of exactly_once_v2; at_least_once would wait 30 s to commit the last record.
    given.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, 100);
    given.put(StreamsConfig.STATESTORE_CACHE_MAX_BYTES_CONFIG, 64L << 20);
    given.put(StreamsConfig.producerPrefix("acks"), "all");
    given.put(ConsumerConfig.AUTO_OFFSET_RESET_CONFIG, "earliest");
    return given;
  }

  /** Run until SIGTERM. */
  public static void main(String[] args) throws Exception {
    Schema touchpoint = load(Path.of(args[4], "touchpoint.avsc"));
    Schema action = load(Path.of(args[4], "action_requested.avsc"));
    Serde<Profile> profile = Serdes.serdeFrom(
        (topic, value) -> value == null ? null : value.toBytes(),
        (topic, bytes) -> bytes == null ? null : Profile.of(bytes));
    Topology topology = new Topology();
    var raw = Serdes.ByteArray();
    topology
        .addSource("touchpoints", raw.deserializer(), raw.deserializer(), args[1])
        .addProcessor("fold", () -> new Fold(touchpoint, action), "touchpoints")
        .addStateStore(
            Stores.keyValueStoreBuilder(
                    Stores.inMemoryKeyValueStore("profiles"), Serdes.String(), profile)
                .withCachingEnabled()
                .withLoggingEnabled(Map.of()),
            "fold")
        .addSink("actions", args[2] + "actions.message", raw.serializer(), raw.serializer(), "fold");
    KafkaStreams streams = new KafkaStreams(topology, properties(args));
    CountDownLatch ended = new CountDownLatch(1);
    streams.setUncaughtExceptionHandler(error -> {
      error.printStackTrace();
      ended.countDown();
      return org.apache.kafka.streams.errors.StreamsUncaughtExceptionHandler
          .StreamThreadExceptionResponse.SHUTDOWN_CLIENT;
    });
    Runtime.getRuntime().addShutdownHook(new Thread(streams::close));
    streams.start();
    ended.await();
    System.exit(1);
  }
}
