// Mel extraction: the transform, the filters, framing at both ends, chunking, recipes from files.
#include <gtest/gtest.h>

#include <cmath>
#include <complex>
#include <cstddef>
#include <cstring>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "dsp/mel_extractor.h"
#include "gguf_builder.h"
#include "models/mel_features.h"
#include "pyvoc/pyvoc.h"

namespace pyvoc::dsp {
namespace {

constexpr double kPi = 3.14159265358979323846;

std::vector<float> noise(std::size_t n, unsigned seed) {
  std::mt19937 engine(seed);
  std::vector<float> x(n);
  for (float& v : x) v = static_cast<float>(static_cast<double>(engine()) * 0x1p-33 - 0.25);
  return x;
}

std::vector<float> run(MelExtractor& e, const std::vector<float>& x,
                       const std::vector<std::size_t>& chunks) {
  std::vector<float> out;
  std::size_t at = 0, turn = 0;
  const auto grow = [&](std::size_t due) {
    const std::size_t before = out.size();
    out.resize(before + due * e.dims());
    return out.data() + before;
  };
  while (at < x.size()) {
    const std::size_t take = std::min(chunks[turn++ % chunks.size()], x.size() - at);
    if (take == 0) continue;
    const std::size_t due = e.frames_after(take);
    EXPECT_EQ(e.push({x.data() + at, take}, grow(due)), due);
    at += take;
  }
  const std::size_t due = e.frames_after(0);
  EXPECT_EQ(e.flush(grow(due)), due);
  return out;
}

TEST(RealFft, AgreesWithTheDefinition) {
  for (std::size_t n : {8u, 16u, 32u, 64u, 256u, 2048u}) {
    const std::vector<float> source = noise(n, static_cast<unsigned>(n));
    const std::vector<double> x(source.begin(), source.end());
    std::vector<double> power(n / 2 + 1);
    RealFft fft(n);
    ASSERT_EQ(fft.bins(), power.size());
    fft.power(x.data(), power.data());
    for (std::size_t k = 0; k < power.size(); ++k) {
      std::complex<double> sum = 0.0;
      for (std::size_t i = 0; i < n; ++i) {
        const double angle = -2.0 * kPi * static_cast<double>(i * k % n) / static_cast<double>(n);
        sum += x[i] * std::polar(1.0, angle);
      }
      EXPECT_NEAR(power[k], std::norm(sum), 1e-11 * static_cast<double>(n)) << n << " bin " << k;
    }
  }
}

TEST(RealFft, ForwardIsPowersRootAndInverseGoesBack) {
  for (std::size_t n : {8u, 16u, 32u, 64u, 1024u, 2048u}) {
    const std::vector<float> source = noise(n, static_cast<unsigned>(n));
    const std::vector<double> x(source.begin(), source.end());
    std::vector<double> re(n / 2 + 1), im(n / 2 + 1), power(n / 2 + 1), back(n);
    RealFft fft(n);
    fft.power(x.data(), power.data());
    fft.forward(x.data(), re.data(), im.data());
    for (std::size_t k : {std::size_t{0}, std::size_t{1}, n / 4, n / 2 - 1, n / 2}) {
      std::complex<double> sum = 0.0;
      for (std::size_t i = 0; i < n; ++i) {
        const double angle = -2.0 * kPi * static_cast<double>(i * k % n) / static_cast<double>(n);
        sum += x[i] * std::polar(1.0, angle);
      }
      EXPECT_NEAR(re[k], sum.real(), 1e-12 * static_cast<double>(n)) << n << " bin " << k;
      EXPECT_NEAR(im[k], sum.imag(), 1e-12 * static_cast<double>(n)) << n << " bin " << k;
    }
    for (std::size_t k = 0; k < power.size(); ++k) {
      EXPECT_EQ(power[k], re[k] * re[k] + im[k] * im[k]) << n << " bin " << k;
    }
    fft.inverse(re.data(), im.data(), back.data());
    for (std::size_t i = 0; i < n; ++i) EXPECT_NEAR(back[i], x[i], 1e-14) << n << " sample " << i;
  }
}

TEST(MelFilters, AreTrianglesOfUnitArea) {
  MelRecipe r;
  r.fft_length = 16384;  // fine enough for a sum to be an area
  r.fmax = 11025.0f;
  const MelFilters filters(r);
  std::vector<double> flat(r.fft_length / 2 + 1, 22050.0 / 16384.0), mel(r.bands);
  filters.apply(flat.data(), mel.data());
  for (double area : mel) EXPECT_NEAR(area, 1.0, 5e-3);
  EXPECT_GE(filters.first_bin(), 1u);
  EXPECT_LE(filters.end_bin(), flat.size());
}

class Presets : public ::testing::TestWithParam<const char*> {};

TEST_P(Presets, ChunksDoNotMatter) {
  MelExtractor e(*find_mel_preset(GetParam()));
  for (std::size_t n : {1u, 2u, 400u, 513u, 1025u, 30000u}) {
    const std::vector<float> x = noise(n, 3);
    e.reset();
    const std::vector<float> whole = run(e, x, {n});
    EXPECT_EQ(whole.size(), e.recipe().frames(n) * e.dims()) << n;
    for (const auto& chunks : std::vector<std::vector<std::size_t>>{
             {1}, {7}, {255}, {256}, {257}, {1, 639, 641}, {5000, 3}, {8191}}) {
      e.reset();
      const std::vector<float> parts = run(e, x, chunks);
      ASSERT_EQ(parts.size(), whole.size());
      if (whole.empty()) continue;
      EXPECT_EQ(std::memcmp(parts.data(), whole.data(), whole.size() * sizeof(float)), 0)
          << n << " samples, first chunk " << chunks[0];
    }
  }
}

TEST_P(Presets, EndsMirrorTheSignal) {
  // A signal that is its own mirror image about both ends has frames that are, too.
  const MelRecipe& r = *find_mel_preset(GetParam());
  const std::size_t n = 20 * r.hop_length + 1 + r.fft_length - 2 * r.pad;
  std::vector<float> x = noise(n, 5);
  for (std::size_t i = 0; i < n / 2; ++i) x[n - 1 - i] = x[i];
  MelExtractor e(r);
  const std::vector<float> rows = run(e, x, {n});
  const std::size_t frames = rows.size() / r.bands;
  ASSERT_EQ(frames, 21u);
  // Sample 0 of a periodic window, the one without a partner, has weight 0: the frames are equal.
  for (std::size_t b = 0; b < r.bands; ++b) {
    EXPECT_NEAR(rows[b], rows[(frames - 1) * r.bands + b], 1e-4) << "band " << b;
  }
}

TEST_P(Presets, SilenceIsTheFloorAndLoudStaysFinite) {
  const MelRecipe& r = *find_mel_preset(GetParam());
  MelExtractor e(r);
  const float lowest = r.log == MelLog::kLn      ? std::log(r.floor)
                       : r.log == MelLog::kLog10 ? std::log10(r.floor)
                                                 : 0.0f;
  for (float v : run(e, std::vector<float>(5000), {5000})) ASSERT_NEAR(v, lowest, 1e-6);
  std::vector<float> square(5000);
  for (std::size_t i = 0; i < square.size(); ++i) square[i] = i / 30 % 2 == 0 ? 16.0f : -16.0f;
  e.reset();
  for (float v : run(e, square, {777})) ASSERT_TRUE(std::isfinite(v));
}

INSTANTIATE_TEST_SUITE_P(Mel, Presets,
                         ::testing::Values("mel-nvidia", "mel-descript", "mel-fatchord",
                                           "mel-hifigan"),
                         [](const auto& info) { return std::string(info.param).substr(4); });

TEST(MelExtractor, ZeroPaddingAndShortWindowsKeepTheirFrames) {
  MelRecipe r;
  r.padding = MelPadding::kZero;
  r.window_length = 600;
  for (std::size_t pad : {0u, 100u, 212u, 512u, 1024u}) {
    r.pad = pad;
    ASSERT_EQ(mel_recipe_problems(r), "");
    MelExtractor e(r);
    const std::vector<float> x = noise(4000, 8);
    const std::vector<float> whole = run(e, x, {4000});
    EXPECT_EQ(whole.size(), r.frames(4000) * r.bands) << pad;
    e.reset();
    EXPECT_EQ(run(e, x, {97}), whole) << pad;
  }
}

TEST(MelExtractor, EpsilonIsUnderTheRootOfSilence) {
  MelRecipe r;
  r.floor = 1e-30f;
  r.epsilon = 1e-6f;
  const MelFilters filters(r);
  const std::vector<float> silence(3000);
  for (int power : {1, 2}) {
    r.power = power;
    const double bin = power == 1 ? std::sqrt(static_cast<double>(r.epsilon)) : r.epsilon;
    std::vector<double> flat(r.fft_length / 2 + 1, bin), mel(r.bands);
    filters.apply(flat.data(), mel.data());
    MelExtractor e(r);
    const std::vector<float> rows = run(e, silence, {3000});
    ASSERT_EQ(rows.size(), 12u * r.bands);
    for (std::size_t i = 0; i < rows.size(); ++i) {
      ASSERT_NEAR(rows[i], std::log(mel[i % r.bands]), 2e-6) << "power " << power;
    }
  }
}

// ---- recipes ------------------------------------------------------------------------------------

TEST(MelRecipe, ImpossibleOnesAreNamed) {
  const auto problem = [](auto change) {
    MelRecipe r;
    change(r);
    return mel_recipe_problems(r);
  };
  EXPECT_EQ(problem([](MelRecipe&) {}), "");
  const float nan = std::numeric_limits<float>::quiet_NaN();
  EXPECT_NE(problem([](MelRecipe& r) { r.fft_length = 1000; }), "");
  EXPECT_NE(problem([](MelRecipe& r) { r.fft_length = 1u << 20; }), "");
  EXPECT_NE(problem([](MelRecipe& r) { r.fft_length = 0; }), "");
  EXPECT_NE(problem([](MelRecipe& r) { r.window_length = 2048; }), "");
  EXPECT_NE(problem([](MelRecipe& r) { r.hop_length = 0; }), "");
  EXPECT_NE(problem([](MelRecipe& r) { r.bands = 0; }), "");
  EXPECT_NE(problem([](MelRecipe& r) { r.bands = 1u << 30; }), "");
  EXPECT_NE(problem([](MelRecipe& r) { r.fmin = 9000.0f; }), "");
  EXPECT_NE(problem([](MelRecipe& r) { r.fmax = 12000.0f; }), "");
  EXPECT_NE(problem([&](MelRecipe& r) { r.fmax = nan; }), "");
  EXPECT_NE(problem([&](MelRecipe& r) { r.floor = nan; }), "");
  EXPECT_NE(problem([](MelRecipe& r) { r.floor = 0.0f; }), "");
  EXPECT_NE(problem([](MelRecipe& r) { r.power = 3; }), "");
  EXPECT_NE(problem([](MelRecipe& r) { r.pad = 5000; }), "");
  EXPECT_NE(problem([](MelRecipe& r) { r.normalized = true; }), "");
  EXPECT_NE(problem([](MelRecipe& r) { r.min_db = 0.0f; }), "");
  EXPECT_NE(problem([](MelRecipe& r) { r.epsilon = -1e-9f; }), "");
  EXPECT_NE(problem([&](MelRecipe& r) { r.epsilon = nan; }), "");
}

enum Type : std::uint32_t { kUint32 = 4, kFloat32 = 6, kBool = 7, kString = 8 };

test::GgufBuilder fatchord_file(const std::string& without = "") {
  test::GgufBuilder file;
  const auto add = [&](const std::string& key, Type type, const test::Bytes& value) {
    if (key != without) file.entry("pyvoc.features." + key, type, value);
  };
  const auto integer = [&](const char* key, std::uint32_t v) {
    add(key, kUint32, test::Bytes().number(v));
  };
  const auto real = [&](const char* key, float v) { add(key, kFloat32, test::Bytes().number(v)); };
  const auto text = [&](const char* key, const char* v) {
    add(key, kString, test::Bytes().text(v));
  };
  text("layout", "mel");
  text("recipe", "fatchord");
  integer("sample_rate", 22050);
  integer("hop_length", 275);
  integer("window_length", 1100);
  integer("fft_length", 2048);
  integer("bands", 80);
  real("fmin", 40.0f);
  real("fmax", 11025.0f);
  text("log", "db");
  real("floor", 1e-5f);
  integer("power", 1);
  text("padding", "reflect");
  integer("pad", 1024);
  add("normalized", kBool, test::Bytes().number<std::uint8_t>(1));
  real("ref_db", 0.0f);
  real("min_db", -100.0f);
  return file;
}

Result<MelRecipe> read(const test::GgufBuilder& builder) {
  const test::AlignedCopy bytes(builder.build());
  const auto file = io::Gguf::from_memory(bytes.data(), bytes.size());
  EXPECT_TRUE(file.ok()) << file.status().message();
  return models::read_mel_recipe(*file.value());
}

TEST(MelFeatures, AFileGivesThePresetBack) {
  const Result<MelRecipe> found = read(fatchord_file());
  ASSERT_TRUE(found.ok()) << found.status().message();
  MelExtractor a(found.value()), b(*find_mel_preset("mel-fatchord"));
  const std::vector<float> x = noise(9000, 2);
  EXPECT_EQ(run(a, x, {9000}), run(b, x, {9000}));
}

TEST(MelFeatures, EpsilonIsZeroWhereAFileSaysNothing) {
  EXPECT_EQ(read(fatchord_file()).value().epsilon, 0.0f);
  test::GgufBuilder file = fatchord_file();
  file.entry("pyvoc.features.epsilon", kFloat32, test::Bytes().number(1e-9f));
  EXPECT_EQ(read(file).value().epsilon, 1e-9f);
  for (float bad : {-1.0f, 2.0f, std::numeric_limits<float>::quiet_NaN()}) {
    file = fatchord_file();
    file.entry("pyvoc.features.epsilon", kFloat32, test::Bytes().number(bad));
    const Result<MelRecipe> found = read(file);
    ASSERT_FALSE(found.ok()) << bad;
    EXPECT_NE(found.status().message().find("epsilon"), std::string::npos);
  }
  file = fatchord_file();
  file.entry("pyvoc.features.epsilon", kString, test::Bytes().text("1e-9"));
  EXPECT_FALSE(read(file).ok());
}

TEST(MelFeatures, MissingAndHostileEntriesAreNamed) {
  for (const char* key :
       {"layout", "sample_rate", "hop_length", "window_length", "fft_length", "bands", "fmin",
        "fmax", "log", "floor", "power", "padding", "pad", "normalized", "ref_db", "min_db"}) {
    const Result<MelRecipe> found = read(fatchord_file(key));
    ASSERT_FALSE(found.ok()) << key;
    EXPECT_EQ(found.status().code(), Code::kModel);
    EXPECT_NE(found.status().message().find(key), std::string::npos) << found.status().message();
  }
  for (const char* key : {"hop_length", "fft_length", "bands", "pad"}) {
    for (std::uint32_t value : {0xFFFFFFFFu, 1u << 24}) {
      test::GgufBuilder file = fatchord_file(key);
      file.entry(std::string("pyvoc.features.") + key, kUint32, test::Bytes().number(value));
      EXPECT_FALSE(read(file).ok()) << key << " " << value;
    }
  }
  test::GgufBuilder file = fatchord_file("log");
  file.entry("pyvoc.features.log", kString, test::Bytes().text("log2"));
  EXPECT_FALSE(read(file).ok());
}

// ---- the C ABI ----------------------------------------------------------------------------------

struct Closer {
  ~Closer() { pyvoc_extractor_close(e); }
  pyvoc_extractor* e = nullptr;
};

pyvoc_mel_recipe nvidia() {
  pyvoc_mel_recipe r{};
  r.struct_size = sizeof r;
  r.sample_rate = 22050;
  r.hop_length = 256;
  r.window_length = r.fft_length = 1024;
  r.bands = 80;
  r.fmax = 8000.0f;
  r.log = PYVOC_MEL_LN;
  r.floor = 1e-5f;
  r.power = 1;
  r.pad = 512;
  r.min_db = -100.0f;
  return r;
}

TEST(MelAbi, PresetsAndRecipesGiveTheSame) {
  Closer a, b;
  ASSERT_EQ(pyvoc_extractor_open("mel-nvidia", &a.e), PYVOC_OK);
  const pyvoc_mel_recipe recipe = nvidia();
  ASSERT_EQ(pyvoc_extractor_open_mel(&recipe, &b.e), PYVOC_OK);
  const std::vector<float> x = noise(3000, 1);
  std::vector<float> rows[2];
  for (int i = 0; i < 2; ++i) {
    pyvoc_extractor* e = i == 0 ? a.e : b.e;
    pyvoc_extractor_info info{};
    info.struct_size = sizeof info;
    ASSERT_EQ(pyvoc_extractor_get_info(e, &info), PYVOC_OK);
    EXPECT_EQ(info.sample_rate, 22050u);
    EXPECT_EQ(info.hop_length, 256u);
    EXPECT_EQ(info.feature_dims, 80u);
    EXPECT_EQ(info.latency_samples, 512u);
    const std::size_t due = pyvoc_extractor_frames_after(e, x.size());
    rows[i].resize(12 * 80);
    std::size_t first = 0, rest = 0;
    ASSERT_EQ(pyvoc_extractor_push(e, x.data(), x.size(), rows[i].data(), due, &first), PYVOC_OK);
    std::size_t nothing = 77;
    ASSERT_EQ(pyvoc_extractor_push(e, nullptr, 0, nullptr, 0, &nothing), PYVOC_OK);
    EXPECT_EQ(nothing, 0u);
    const std::size_t held = pyvoc_extractor_frames_after(e, 0);
    ASSERT_EQ(first + held, 12u);
    ASSERT_GT(held, 0u);
    EXPECT_EQ(pyvoc_extractor_flush(e, rows[i].data() + first * 80, held - 1, &rest),
              PYVOC_ERROR_ARGUMENT);
    ASSERT_EQ(pyvoc_extractor_reset(e), PYVOC_OK);
    ASSERT_EQ(pyvoc_extractor_push(e, x.data(), x.size(), rows[i].data(), due, &first), PYVOC_OK);
    ASSERT_EQ(pyvoc_extractor_flush(e, rows[i].data() + first * 80, held, &rest), PYVOC_OK);
    EXPECT_EQ(rest, held);
  }
  EXPECT_EQ(rows[0], rows[1]);
}

std::vector<float> extracted(const pyvoc_mel_recipe& recipe, const std::vector<float>& x) {
  Closer c;
  EXPECT_EQ(pyvoc_extractor_open_mel(&recipe, &c.e), PYVOC_OK) << pyvoc_last_error();
  std::vector<float> rows(pyvoc_extractor_frames_after(c.e, x.size()) * 80);
  std::size_t written = 0;
  EXPECT_EQ(pyvoc_extractor_push(c.e, x.data(), x.size(), rows.data(), rows.size() / 80, &written),
            PYVOC_OK);
  return rows;
}

TEST(MelAbi, ACallerThatIsOlderThanEpsilonIsServed) {
  const std::vector<float> x(3000);
  pyvoc_mel_recipe r = nvidia();
  r.floor = 1e-10f;
  const std::vector<float> without = extracted(r, x);
  r.epsilon = 1e-9f;
  const std::vector<float> with = extracted(r, x);
  r.struct_size = offsetof(pyvoc_mel_recipe, epsilon);
  EXPECT_EQ(extracted(r, x), without);
  EXPECT_NE(with, without);
}

TEST(MelAbi, RefusesImpossibleRecipesAndSamples) {
  pyvoc_extractor* none = nullptr;
  EXPECT_EQ(pyvoc_extractor_open_mel(nullptr, &none), PYVOC_ERROR_ARGUMENT);
  EXPECT_EQ(pyvoc_extractor_open_for_model(nullptr, &none), PYVOC_ERROR_ARGUMENT);
  EXPECT_EQ(pyvoc_extractor_open("mel", &none), PYVOC_ERROR_ARGUMENT);
  EXPECT_NE(std::string(pyvoc_last_error()).find("mel-fatchord"), std::string::npos);
  pyvoc_mel_recipe r = nvidia();
  r.struct_size = 0;
  EXPECT_EQ(pyvoc_extractor_open_mel(&r, &none), PYVOC_ERROR_ARGUMENT);
  for (auto change : std::vector<void (*)(pyvoc_mel_recipe&)>{
           [](pyvoc_mel_recipe& x) { x.log = 3; }, [](pyvoc_mel_recipe& x) { x.padding = 2; },
           [](pyvoc_mel_recipe& x) { x.power = 0x80000001u; },
           [](pyvoc_mel_recipe& x) { x.normalized = 2; },
           [](pyvoc_mel_recipe& x) { x.epsilon = -1.0f; },
           [](pyvoc_mel_recipe& x) { x.struct_size = offsetof(pyvoc_mel_recipe, min_db); },
           [](pyvoc_mel_recipe& x) { x.hop_length = 0xFFFFFFFFu; },
           [](pyvoc_mel_recipe& x) { x.fft_length = 1023; }}) {
    r = nvidia();
    change(r);
    EXPECT_EQ(pyvoc_extractor_open_mel(&r, &none), PYVOC_ERROR_ARGUMENT);
  }
  EXPECT_EQ(none, nullptr);
  Closer c;
  ASSERT_EQ(pyvoc_extractor_open("mel-descript", &c.e), PYVOC_OK);
  std::vector<float> x(2000), rows(20 * 80);
  x[700] = std::numeric_limits<float>::quiet_NaN();
  std::size_t written = 77;
  EXPECT_EQ(pyvoc_extractor_push(c.e, x.data(), x.size(), rows.data(), 20, &written),
            PYVOC_ERROR_AUDIO);
  EXPECT_EQ(written, 77u);
}

TEST(MelAbi, AModelOpensItsOwnExtractor) {
  pyvoc_model* model = nullptr;
  const std::string path = std::string(PYVOC_TEST_DATA) + "/tree_sparse.f32.gguf";
  ASSERT_EQ(pyvoc_model_load(path.c_str(), &model), PYVOC_OK);
  Closer c;
  ASSERT_EQ(pyvoc_extractor_open_for_model(model, &c.e), PYVOC_OK);
  pyvoc_model_release(model);
  pyvoc_extractor_info info{};
  info.struct_size = sizeof info;
  ASSERT_EQ(pyvoc_extractor_get_info(c.e, &info), PYVOC_OK);
  EXPECT_EQ(info.sample_rate, 16000u);
  EXPECT_EQ(info.feature_dims, 36u);
}

}  // namespace
}  // namespace pyvoc::dsp
