// Drives a libFuzzer target without libFuzzer, for compilers that have none: every file that is
// named, then so many changes of them. main RUNS SEED FILE...
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);
extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size,
                                               std::size_t most, unsigned seed);

extern long pyvoc_fuzz_spoken;

namespace {

std::mt19937 g_random;

std::vector<std::uint8_t> read(const char* path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

// What a failing run leaves behind, so that it can be repeated.
void keep(const std::vector<std::uint8_t>& input) {
  const char* folder = std::getenv("PYVOC_FUZZ_KEEP");
  if (folder == nullptr) return;
  std::ofstream(std::string(folder) + "/last.gguf", std::ios::binary)
      .write(reinterpret_cast<const char*>(input.data()), static_cast<long>(input.size()));
}

}  // namespace

// libFuzzer's own: bytes anywhere, and lengths.
extern "C" std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size, std::size_t most) {
  if (size == 0) return 0;
  if (g_random() % 6 == 0) return 1 + g_random() % size;
  for (unsigned n = 1 + g_random() % 4; n > 0; --n) {
    data[g_random() % size] = static_cast<std::uint8_t>(g_random());
  }
  return size < most ? size : most;
}

int main(int argc, char** argv) {
  if (argc < 4) {
    std::fprintf(stderr, "usage: %s RUNS SEED FILE...\n", argv[0]);
    return 2;
  }
  const long runs = std::atol(argv[1]);
  const auto seed = static_cast<unsigned>(std::atol(argv[2]));
  std::vector<std::vector<std::uint8_t>> corpus;
  for (int i = 3; i < argc; ++i) {
    corpus.push_back(read(argv[i]));
    LLVMFuzzerTestOneInput(corpus.back().data(), corpus.back().size());
  }
  g_random.seed(seed);
  for (long run = 0; run < runs; ++run) {
    std::vector<std::uint8_t> input = corpus[g_random() % corpus.size()];
    const std::size_t size = input.size(), most = 2 * size + 4096;
    input.resize(most);
    input.resize(LLVMFuzzerCustomMutator(input.data(), size, most, g_random()));
    keep(input);
    LLVMFuzzerTestOneInput(input.data(), input.size());
  }
  std::printf("%zu files, %ld changes of them, %ld spoke: nothing found\n", corpus.size(), runs,
              pyvoc_fuzz_spoken);
  return 0;
}
