// pyvoc.h: streams.

#include <algorithm>

#include "api/error.h"
#include "api/guard.h"
#include "api/handles.h"
#include "base/team.h"

namespace {

using pyvoc::Code;
using pyvoc::Status;
using pyvoc::api::fail;
using pyvoc::api::Lease;
using pyvoc::api::Stream;

constexpr std::size_t kDefaultCapacity = 64;
constexpr std::size_t kBatchLimit = 1024;
constexpr float kMostSigma = 4.0f;
constexpr std::uint32_t kMostLookahead = 65535;  // frames: beyond what any model has

constexpr const char* kOrphaned =
    "the stream's threads belong to the process that forked: open another stream in this one";

// The sentences are literals: the real-time calls allocate nothing for an error.
pyvoc_status fail_rt(Code code) {
  switch (code) {
    case Code::kOk:
      return PYVOC_OK;
    case Code::kFull:
      return fail(code, "no room for these frames: pull first, or reserve more");
    case Code::kFeature:
      return fail(code, "a frame holds a NaN, an infinity or an absurd value");
    case Code::kState:
      return fail(code, "frames were pushed after flush: reset the stream first");
    case Code::kUnsupported:
      return fail(code, "the model does not go sample by sample: none can be left out");
    case Code::kBusy:
      return fail(code, "the stream is in use by another thread");
    default:
      return fail(code, "a null pointer or a bad size was given");
  }
}

// A call that works on a stream: one thread's at a time, and its own process's.
class Entry {
 public:
  explicit Entry(Stream& stream) noexcept : stream_(stream), lease_(stream.busy()) {}
  bool ok() const noexcept { return lease_.held() && !stream_.orphaned(); }
  pyvoc_status refuse() const noexcept {
    if (!lease_.held()) return fail_rt(Code::kBusy);
    return fail(Code::kState, kOrphaned);
  }

 private:
  const Stream& stream_;
  const Lease lease_;
};

// The frames of look-ahead that a stream is to have: the model's own, or fewer.
pyvoc::Result<int> read_lookahead(const pyvoc::models::VocoderInfo& info,
                                  const pyvoc_stream_options& given) {
  const int own = info.lookahead_frames;
  if (given.lookahead_given == 0) return own;
  if (given.lookahead_frames > kMostLookahead) {
    return Status(Code::kArgument, "the look-ahead is " + std::to_string(given.lookahead_frames) +
                                       " frames, expected 0 to " + std::to_string(kMostLookahead));
  }
  const int wanted = std::min(own, static_cast<int>(given.lookahead_frames));
  if (wanted < own && !info.takes_lookahead) {
    return Status(Code::kUnsupported, info.architecture + " looks ahead " + std::to_string(own) +
                                          (own == 1 ? " frame" : " frames") +
                                          " and cannot do with less");
  }
  return wanted;
}

}  // namespace

pyvoc_status pyvoc_stream_open(pyvoc_model* model, const pyvoc_stream_options* options,
                               pyvoc_stream** stream) {
  if (model == nullptr || stream == nullptr) {
    return fail(Status(Code::kArgument, "model or stream is a null pointer"));
  }
  pyvoc_stream_options given = PYVOC_STREAM_OPTIONS_INIT;
  if (options != nullptr) {
    const pyvoc_status status = pyvoc::api::copy_struct(*options, &given, options->struct_size);
    if (status != PYVOC_OK) return status;
  }
  const std::size_t capacity =
      given.capacity_frames == 0 ? kDefaultCapacity : given.capacity_frames;
  if (given.threads > pyvoc::Team::kMost) {
    return fail(Status(Code::kArgument, "threads is " + std::to_string(given.threads) +
                                            ", at most " + std::to_string(pyvoc::Team::kMost)));
  }
  pyvoc::models::SessionSettings settings;
  settings.seed = given.seed;
  settings.threads = given.threads == 0 ? 1 : static_cast<int>(given.threads);
  if (given.sigma_given != 0) {
    if (!model->vocoder->info().takes_sigma) {
      return fail(Status(Code::kUnsupported, model->vocoder->info().architecture +
                                                 " starts from no noise that sigma could scale"));
    }
    if (!(given.sigma >= 0.0f && given.sigma <= kMostSigma)) {
      return fail(
          Status(Code::kArgument, "sigma is " + std::to_string(given.sigma) + ", expected 0 to 4"));
    }
    settings.sigma = given.sigma;
  }
  const pyvoc::Result<int> lookahead = read_lookahead(model->vocoder->info(), given);
  if (!lookahead.ok()) return fail(lookahead.status());
  settings.lookahead = lookahead.value();
  return pyvoc::api::guarded([&] {
    *stream = new pyvoc_stream{Stream(model->vocoder, settings, capacity)};
    return PYVOC_OK;
  });
}

void pyvoc_stream_close(pyvoc_stream* stream) { delete stream; }

pyvoc_status pyvoc_stream_reserve(pyvoc_stream* stream, size_t frames) {
  if (stream == nullptr) return fail_rt(Code::kArgument);
  const Entry entry(stream->stream);
  if (!entry.ok()) return entry.refuse();
  return pyvoc::api::guarded([&] {
    stream->stream.reserve(frames);
    return PYVOC_OK;
  });
}

pyvoc_status pyvoc_stream_push(pyvoc_stream* stream, const float* frames, size_t n_frames,
                               size_t stride) {
  if (stream == nullptr || (frames == nullptr && n_frames > 0)) return fail_rt(Code::kArgument);
  const std::size_t dims = static_cast<std::size_t>(stream->stream.vocoder().info().feature_dims);
  if (stride < dims) return fail_rt(Code::kArgument);
  const Entry entry(stream->stream);
  if (!entry.ok()) return entry.refuse();
  return fail_rt(stream->stream.push({frames, n_frames, dims, stride}));
}

size_t pyvoc_stream_available(const pyvoc_stream* stream) {
  return stream == nullptr ? 0 : stream->stream.available();
}

pyvoc_status pyvoc_stream_pull(pyvoc_stream* stream, float* samples, size_t capacity,
                               size_t* written) {
  if (stream == nullptr || written == nullptr || (samples == nullptr && capacity > 0)) {
    return fail_rt(Code::kArgument);
  }
  const Entry entry(stream->stream);
  if (!entry.ok()) return entry.refuse();
  *written = stream->stream.pull({samples, capacity});
  return PYVOC_OK;
}

pyvoc_status pyvoc_stream_pull_batch(pyvoc_stream* const* streams, size_t n, float* const* samples,
                                     size_t capacity, size_t* written) {
  if (n == 0) return PYVOC_OK;
  if (streams == nullptr || samples == nullptr || written == nullptr || n > kBatchLimit) {
    return fail_rt(Code::kArgument);
  }
  Stream* inner[kBatchLimit];
  for (size_t i = 0; i < n; ++i) {
    if (streams[i] == nullptr || samples[i] == nullptr ||
        &streams[i]->stream.vocoder() != &streams[0]->stream.vocoder()) {
      return fail_rt(Code::kArgument);
    }
    inner[i] = &streams[i]->stream;
  }
  size_t entered = 0;
  while (entered < n && inner[entered]->busy().enter()) ++entered;
  const bool orphaned =
      std::any_of(inner, inner + n, [](const Stream* each) { return each->orphaned(); });
  if (entered == n && !orphaned) Stream::pull_batch(inner, n, samples, capacity, written);
  for (size_t i = 0; i < entered; ++i) inner[i]->busy().leave();
  if (entered < n) return fail_rt(Code::kBusy);
  return orphaned ? fail(Code::kState, kOrphaned) : PYVOC_OK;
}

pyvoc_status pyvoc_stream_flush(pyvoc_stream* stream) {
  if (stream == nullptr) return fail_rt(Code::kArgument);
  const Entry entry(stream->stream);
  if (!entry.ok()) return entry.refuse();
  stream->stream.flush();
  return PYVOC_OK;
}

pyvoc_status pyvoc_stream_prime(pyvoc_stream* stream, const float* samples, size_t n_samples,
                                const float* frames, size_t n_frames, size_t stride) {
  if (stream == nullptr || samples == nullptr || frames == nullptr) {
    return fail_rt(Code::kArgument);
  }
  const pyvoc::models::VocoderInfo& info = stream->stream.vocoder().info();
  const auto dims = static_cast<std::size_t>(info.feature_dims);
  const auto most_samples = static_cast<std::size_t>(info.prime_samples);
  const auto most_frames = static_cast<std::size_t>(info.prime_frames);
  if (stride < dims) return fail_rt(Code::kArgument);
  if (n_samples < most_samples || n_frames < most_frames) {
    return fail(Code::kArgument, "fewer samples or frames than the model needs to go on");
  }
  const Entry entry(stream->stream);
  if (!entry.ok()) return entry.refuse();
  const Code code =
      stream->stream.prime({samples + (n_samples - most_samples), most_samples},
                           {frames + (n_frames - most_frames) * stride, most_frames, dims, stride});
  switch (code) {
    case Code::kUnsupported:
      return fail(code, "the model cannot begin in the middle of a signal");
    case Code::kState:
      return fail(code, "the stream has begun: reset it first");
    case Code::kArgument:
      return fail(code, "a sample is not within -1..1");
    default:
      return fail_rt(code);
  }
}

pyvoc_status pyvoc_stream_skip(pyvoc_stream* stream, size_t n) {
  if (stream == nullptr) return fail_rt(Code::kArgument);
  const Entry entry(stream->stream);
  if (!entry.ok()) return entry.refuse();
  return fail_rt(stream->stream.skip(n));
}

pyvoc_status pyvoc_stream_reset(pyvoc_stream* stream, uint64_t seed) {
  if (stream == nullptr) return fail_rt(Code::kArgument);
  const Entry entry(stream->stream);
  if (!entry.ok()) return entry.refuse();
  stream->stream.reset(seed);
  return PYVOC_OK;
}

size_t pyvoc_stream_latency_samples(const pyvoc_stream* stream) {
  return stream == nullptr ? 0 : stream->stream.latency_samples();
}

pyvoc_status pyvoc_stream_set_draws(pyvoc_stream* stream, const float* draws, size_t n) {
  if (stream == nullptr || (draws == nullptr && n > 0)) return fail_rt(Code::kArgument);
  const Status status = stream->stream.vocoder().check_draws({draws, n});
  if (!status.ok()) return fail(status);
  const Entry entry(stream->stream);
  if (!entry.ok()) return entry.refuse();
  stream->stream.set_draws({draws, n});
  return PYVOC_OK;
}
