// Random numbers as a function of where they are needed: Philox4x32-10 (Salmon et al. 2011,
// "Parallel random numbers: as easy as 1, 2, 3"), and normal numbers made of them. No state, so a
// stream may be cut, and its parts computed, in any way. Real-time safe.
#ifndef PYVOC_BASE_PHILOX_H_
#define PYVOC_BASE_PHILOX_H_

#include <array>
#include <cmath>
#include <cstdint>

#include "base/realtime.h"

namespace pyvoc {

using PhiloxBlock = std::array<std::uint32_t, 4>;

// Four words for a counter and a key.
inline PhiloxBlock philox(PhiloxBlock counter, std::uint64_t key) PYVOC_RT {
  constexpr std::uint64_t kFirst = 0xd2511f53, kSecond = 0xcd9e8d57;
  constexpr std::uint32_t kStep0 = 0x9e3779b9, kStep1 = 0xbb67ae85;
  std::uint32_t key0 = static_cast<std::uint32_t>(key);
  std::uint32_t key1 = static_cast<std::uint32_t>(key >> 32);
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t a = kFirst * counter[0], b = kSecond * counter[2];
    counter = {
        static_cast<std::uint32_t>(b >> 32) ^ counter[1] ^ key0, static_cast<std::uint32_t>(b),
        static_cast<std::uint32_t>(a >> 32) ^ counter[3] ^ key1, static_cast<std::uint32_t>(a)};
    key0 += kStep0;
    key1 += kStep1;
  }
  return counter;
}

// Four independent numbers of mean 0 and standard deviation 1 (Box & Muller 1958), at most 6.8 away
// from 0.
inline std::array<float, 4> philox_normal(const PhiloxBlock& counter, std::uint64_t key) PYVOC_RT {
  constexpr double kTurn = 6.283185307179586, kUnit = 1.0 / 4294967296.0;
  const PhiloxBlock words = philox(counter, key);
  std::array<float, 4> normal;
  for (std::size_t i = 0; i < 4; i += 2) {
    const double radius = std::sqrt(-2.0 * std::log((words[i] + 0.5) * kUnit));
    const double angle = kTurn * kUnit * words[i + 1];
    normal[i] = static_cast<float>(radius * std::cos(angle));
    normal[i + 1] = static_cast<float>(radius * std::sin(angle));
  }
  return normal;
}

}  // namespace pyvoc
#endif  // PYVOC_BASE_PHILOX_H_
