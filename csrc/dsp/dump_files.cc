#include "dsp/dump_files.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <memory>

#include "base/atomic_file.h"
#include "dsp/train_dump.h"
#include "kernels/resolve.h"

namespace pyvoc::dsp {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kFrameBytes = 2 * kFrame;
constexpr std::uint64_t kProgressEvery = 4096;  // frames

Status audio_error(const std::string& path, const std::string& what) {
  return Status(Code::kAudio, "'" + path + "' " + what);
}

// Raw PCM, frame by frame, from a regular file whose size was checked.
class SpeechFile {
 public:
  Status open(const std::string& path) {
    path_ = path;
    std::error_code code;
    const fs::file_status status = fs::status(path, code);
    if (status.type() == fs::file_type::not_found) {
      return Status(Code::kIo, "cannot open '" + path + "': no such file");
    }
    if (status.type() == fs::file_type::directory) {
      return Status(Code::kIo, "cannot open '" + path + "': it is a directory");
    }
    if (status.type() != fs::file_type::regular) {
      return Status(Code::kIo, "cannot open '" + path + "': not a regular file");
    }
    const std::uintmax_t bytes = fs::file_size(path, code);
    errno = 0;
    file_.reset(std::fopen(path.c_str(), "rb"));
    if (code || !file_) {
      return Status(Code::kIo, "cannot open '" + path + "': " + std::strerror(errno));
    }
    char head[4] = {};
    const std::size_t got = std::fread(head, 1, sizeof head, file_.get());
    std::rewind(file_.get());
    for (const char* magic : {"RIFF", "fLaC", "OggS", "FORM"}) {
      if (got == sizeof head && std::memcmp(head, magic, sizeof head) == 0) {
        return audio_error(
            path, "is a " + std::string(magic) + " audio file; expected raw 16-bit PCM at 16 kHz");
      }
    }
    if (bytes % 2 != 0) {
      return audio_error(
          path, "has " + std::to_string(bytes) + " bytes, an odd number; expected 16-bit PCM");
    }
    frames_ = bytes / kFrameBytes;
    if (frames_ == 0) {
      return audio_error(path, "has " + std::to_string(bytes / 2) +
                                   " samples; expected at least one frame of 160");
    }
    return Status();
  }

  std::uint64_t frames() const { return frames_; }
  std::uint64_t passes() const { return passes_; }
  // True when the last frame of this pass has been read.
  bool at_end() const { return next_ == frames_; }

  void rewind() {
    std::rewind(file_.get());
    next_ = 0;
    ++passes_;
  }

  Status read(std::int16_t* pcm) {
    std::uint8_t bytes[kFrameBytes];
    if (std::fread(bytes, 1, kFrameBytes, file_.get()) != kFrameBytes) {
      return Status(Code::kIo, "cannot read '" + path_ + "': it ended before its size said");
    }
    for (int i = 0; i < kFrame; ++i) {
      const unsigned word = bytes[2 * i] | static_cast<unsigned>(bytes[2 * i + 1]) << 8;
      pcm[i] = static_cast<std::int16_t>(static_cast<std::uint16_t>(word));
    }
    ++next_;
    return Status();
  }

 private:
  struct Close {
    void operator()(std::FILE* f) const { std::fclose(f); }
  };
  std::string path_;
  std::unique_ptr<std::FILE, Close> file_;
  std::uint64_t frames_ = 0, next_ = 0, passes_ = 1;
};

bool same_file(const std::string& a, const std::string& b) {
  std::error_code code;
  if (fs::equivalent(a, b, code)) return true;
  return fs::absolute(a, code).lexically_normal() == fs::absolute(b, code).lexically_normal();
}

Status write_floats(AtomicFile& file, const float* values, std::size_t count) {
  std::uint8_t bytes[4 * kSuperframe * kMaxRow];
  for (std::size_t i = 0; i < count; ++i) {
    std::uint32_t word;
    std::memcpy(&word, values + i, sizeof word);
    for (int b = 0; b < 4; ++b) bytes[4 * i + b] = static_cast<std::uint8_t>(word >> (8 * b));
  }
  return file.write(bytes, 4 * count);
}

// data: empty for `-test`.
Result<DumpReport> dump(const std::string& speech_path, const std::string& features_path,
                        const std::string& data_path, const DumpOptions& options) {
  const bool training = !data_path.empty();
  if (training && same_file(features_path, data_path)) {
    return Status(Code::kArgument,
                  "the features and the data cannot both go to '" + features_path + "'");
  }
  for (const std::string& out : {features_path, data_path}) {
    if (!out.empty() && same_file(speech_path, out)) {
      return Status(Code::kArgument, "'" + out + "' is the input; expected another output");
    }
  }
  const auto table = kernels::active_table();
  if (!table.ok()) return table.status();
  SpeechFile speech;
  if (Status s = speech.open(speech_path); !s.ok()) return s;
  AtomicFile features, data;
  if (Status s = features.open(features_path); !s.ok()) return s;
  if (training) {
    if (Status s = data.open(data_path); !s.ok()) return s;
  }

  const auto dump =
      std::make_unique<TrainDump>(options.recipe, training, options.seed, *table.value());
  const std::uint64_t expected =
      training ? std::max(options.frames, speech.frames()) : speech.frames();
  DumpReport report;
  report.row_size = dump->row_size();
  std::int16_t pcm[kFrame];
  while (true) {
    if (speech.at_end()) {
      if (!training) break;
      if (report.frames == 0) {
        return audio_error(speech_path,
                           "is silent throughout; the 2019 training recipe leaves silence out");
      }
      speech.rewind();
    }
    if (Status s = speech.read(pcm); !s.ok()) return s;
    const bool kept = dump->accept(pcm);
    if (!kept) continue;
    if (training && speech.passes() > 1 && report.frames >= options.frames) break;
    const int rows = dump->process();
    ++report.frames;
    if (rows > 0) {
      const std::size_t count = static_cast<std::size_t>(rows * dump->row_size());
      if (Status s = write_floats(features, dump->rows(), count); !s.ok()) return s;
      if (training) {
        const std::size_t bytes = static_cast<std::size_t>(rows) * kDumpBytesPerFrame;
        if (Status s = data.write(dump->data(), bytes); !s.ok()) return s;
      }
      report.rows += static_cast<std::uint64_t>(rows);
    }
    if (options.progress && report.frames % kProgressEvery == 0) {
      options.progress(report.frames, expected);
    }
  }
  if (report.rows == 0) {
    return audio_error(speech_path, "has " + std::to_string(speech.frames()) +
                                        " frames; the 2019 recipe needs at least 4");
  }
  if (options.progress) options.progress(report.frames, report.frames);
  report.passes = speech.passes();
  if (Status s = data.finish(); !s.ok()) return s;
  if (Status s = features.finish(); !s.ok()) return s;
  if (training) {
    if (Status s = data.commit(); !s.ok()) return s;
  }
  if (Status s = features.commit(); !s.ok()) return s;
  return report;
}

}  // namespace

Result<DumpReport> dump_test(const std::string& speech, const std::string& features,
                             const DumpOptions& options) {
  return dump(speech, features, std::string(), options);
}

Result<DumpReport> dump_train(const std::string& speech, const std::string& features,
                              const std::string& data, const DumpOptions& options) {
  if (data.empty()) return Status(Code::kArgument, "the name of the data output is empty");
  return dump(speech, features, data, options);
}

}  // namespace pyvoc::dsp
