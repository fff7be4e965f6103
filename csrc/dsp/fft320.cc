#include "dsp/fft320.h"

#include <cmath>

namespace pyvoc::dsp {
namespace {

constexpr double kPi = 3.14159265358979323846;
constexpr float kScale = 1.0f / kFftSize;

float root_re(int k) { return static_cast<float>(std::cos(-2.0 * kPi / kFftSize * k)); }
float root_im(int k) { return static_cast<float>(std::sin(-2.0 * kPi / kFftSize * k)); }

}  // namespace

Fft320::Fft320() {
  for (int p = 0; p < 4; ++p) {
    for (int j = 0; j < 4; ++j) second_[p][j] = {root_re(20 * j * p), root_im(20 * j * p)};
    for (int j = 0; j < 16; ++j) {
      third_re_[p][j] = root_re(5 * j * p);
      third_im_[p][j] = root_im(5 * j * p);
    }
  }
  for (int p = 0; p < 5; ++p) {
    for (int j = 0; j < 64; ++j) {
      last_re_[p][j] = root_re(j * p);
      last_im_[p][j] = root_im(j * p);
    }
  }
  fifth_ = {root_re(64), root_im(64)};
  two_fifths_ = {root_re(128), root_im(128)};
}

void Fft320::first_two_passes(const float* x, Half& out) const PYVOC_RT {
  // Pass 1: four samples 80 apart; the input is real, so branches 1 and 3 are conjugates.
  float re[4][80], im[80];
  for (int g = 0; g < 80; ++g) {
    const float x0 = x[g] * kScale;
    const float x1 = x[g + 80] * kScale;
    const float x2 = x[g + 160] * kScale;
    const float x3 = x[g + 240] * kScale;
    const float even = x0 + x2;
    const float odd = x1 + x3;
    re[0][g] = even + odd;
    re[1][g] = x0 - x2;
    re[2][g] = even - odd;
    im[g] = x1 - x3;
  }
  // Pass 2: branch p holds the samples g = q + 20 p; frequencies j and 4 - j are conjugate inputs.
  float t_re[16][20], t_im[16][20];
  for (int j = 0; j < 4; ++j) {
    const float* source = re[j == 3 ? 1 : j];
    const float sign = j == 1 ? -1.0f : (j == 3 ? 1.0f : 0.0f);
    const Twiddle w1 = second_[1][j], w2 = second_[2][j], w3 = second_[3][j];
    for (int q = 0; q < 20; ++q) {
      const float a_re = source[q + 20], a_im = sign * im[q + 20];
      const float b_re = source[q + 40], b_im = sign * im[q + 40];
      const float c_re = source[q + 60], c_im = sign * im[q + 60];
      const float s0_re = a_re * w1.re - a_im * w1.im, s0_im = a_re * w1.im + a_im * w1.re;
      const float s1_re = b_re * w2.re - b_im * w2.im, s1_im = b_re * w2.im + b_im * w2.re;
      const float s2_re = c_re * w3.re - c_im * w3.im, s2_im = c_re * w3.im + c_im * w3.re;
      const float f_re = source[q], f_im = sign * im[q];
      const float diff_re = f_re - s1_re, diff_im = f_im - s1_im;
      const float sum_re = f_re + s1_re, sum_im = f_im + s1_im;
      const float odd_re = s0_re + s2_re, odd_im = s0_im + s2_im;
      const float turn_re = s0_re - s2_re, turn_im = s0_im - s2_im;
      t_re[j][q] = sum_re + odd_re;
      t_im[j][q] = sum_im + odd_im;
      t_re[j + 4][q] = diff_re + turn_im;
      t_im[j + 4][q] = diff_im - turn_re;
      t_re[j + 8][q] = sum_re - odd_re;
      t_im[j + 8][q] = sum_im - odd_im;
      t_re[j + 12][q] = diff_re - turn_im;
      t_im[j + 12][q] = diff_im + turn_re;
    }
  }
  for (int q = 0; q < 20; ++q) {
    for (int k = 0; k < 16; ++k) {
      out.re[q][k] = t_re[k][q];
      out.im[q][k] = t_im[k][q];
    }
  }
}

void Fft320::forward(const float* x, float* re, float* im) const PYVOC_RT {
  Half half;
  first_two_passes(x, half);
  // Pass 3: branch p of sub-transform s is q = s + 5 p.
  float t_re[5][64], t_im[5][64];
  for (int s = 0; s < 5; ++s) {
    const float *f_re = half.re[s], *a_re = half.re[s + 5], *b_re = half.re[s + 10],
                *c_re = half.re[s + 15];
    const float *f_im = half.im[s], *a_im = half.im[s + 5], *b_im = half.im[s + 10],
                *c_im = half.im[s + 15];
    for (int j = 0; j < 16; ++j) {
      const float s0_re = a_re[j] * third_re_[1][j] - a_im[j] * third_im_[1][j];
      const float s0_im = a_re[j] * third_im_[1][j] + a_im[j] * third_re_[1][j];
      const float s1_re = b_re[j] * third_re_[2][j] - b_im[j] * third_im_[2][j];
      const float s1_im = b_re[j] * third_im_[2][j] + b_im[j] * third_re_[2][j];
      const float s2_re = c_re[j] * third_re_[3][j] - c_im[j] * third_im_[3][j];
      const float s2_im = c_re[j] * third_im_[3][j] + c_im[j] * third_re_[3][j];
      const float diff_re = f_re[j] - s1_re, diff_im = f_im[j] - s1_im;
      const float sum_re = f_re[j] + s1_re, sum_im = f_im[j] + s1_im;
      const float odd_re = s0_re + s2_re, odd_im = s0_im + s2_im;
      const float turn_re = s0_re - s2_re, turn_im = s0_im - s2_im;
      t_re[s][j] = sum_re + odd_re;
      t_im[s][j] = sum_im + odd_im;
      t_re[s][j + 16] = diff_re + turn_im;
      t_im[s][j + 16] = diff_im - turn_re;
      t_re[s][j + 32] = sum_re - odd_re;
      t_im[s][j + 32] = sum_im - odd_im;
      t_re[s][j + 48] = diff_re - turn_im;
      t_im[s][j + 48] = diff_im + turn_re;
    }
  }
  // Pass 4: frequencies u, u + 64, u + 128 of the five (the upper half is redundant).
  float top_re[64], top_im[64];
  for (int u = 0; u < 64; ++u) {
    const float s1_re = t_re[1][u] * last_re_[1][u] - t_im[1][u] * last_im_[1][u];
    const float s1_im = t_re[1][u] * last_im_[1][u] + t_im[1][u] * last_re_[1][u];
    const float s2_re = t_re[2][u] * last_re_[2][u] - t_im[2][u] * last_im_[2][u];
    const float s2_im = t_re[2][u] * last_im_[2][u] + t_im[2][u] * last_re_[2][u];
    const float s3_re = t_re[3][u] * last_re_[3][u] - t_im[3][u] * last_im_[3][u];
    const float s3_im = t_re[3][u] * last_im_[3][u] + t_im[3][u] * last_re_[3][u];
    const float s4_re = t_re[4][u] * last_re_[4][u] - t_im[4][u] * last_im_[4][u];
    const float s4_im = t_re[4][u] * last_im_[4][u] + t_im[4][u] * last_re_[4][u];
    const float sum14_re = s1_re + s4_re, sum14_im = s1_im + s4_im;
    const float dif14_re = s1_re - s4_re, dif14_im = s1_im - s4_im;
    const float sum23_re = s2_re + s3_re, sum23_im = s2_im + s3_im;
    const float dif23_re = s2_re - s3_re, dif23_im = s2_im - s3_im;
    const float f_re = t_re[0][u], f_im = t_im[0][u];
    re[u] = f_re + (sum14_re + sum23_re);
    im[u] = f_im + (sum14_im + sum23_im);
    const float p_re = f_re + (sum14_re * fifth_.re + sum23_re * two_fifths_.re);
    const float p_im = f_im + (sum14_im * fifth_.re + sum23_im * two_fifths_.re);
    const float r_re = dif14_im * fifth_.im + dif23_im * two_fifths_.im;
    const float r_im = dif14_re * fifth_.im + dif23_re * two_fifths_.im;
    re[u + 64] = p_re - r_re;
    im[u + 64] = p_im + r_im;
    const float v_re = f_re + (sum14_re * two_fifths_.re + sum23_re * fifth_.re);
    const float v_im = f_im + (sum14_im * two_fifths_.re + sum23_im * fifth_.re);
    const float w_re = dif23_im * fifth_.im - dif14_im * two_fifths_.im;
    const float w_im = dif14_re * two_fifths_.im - dif23_re * fifth_.im;
    top_re[u] = v_re + w_re;
    top_im[u] = v_im + w_im;
  }
  for (int u = 0; u < 32; ++u) {
    re[u + 128] = top_re[u];
    im[u + 128] = top_im[u];
  }
}

void Fft320::autocorrelation(const float* spectrum, float* out) const PYVOC_RT {
  float full[kFftSize];
  full[0] = spectrum[0];
  full[kFftBins] = 0.0f;
  for (int k = 1; k < kFftBins; ++k) full[k] = full[kFftSize - k] = spectrum[k];
  Half half;
  first_two_passes(full, half);
  // Pass 3, only the frequencies 0 and 48..63 of each sub-transform: lag i is frequency 320 - i.
  float t_re[5][16], t_im[5][16], first[5];
  for (int s = 0; s < 5; ++s) {
    const float *f_re = half.re[s], *a_re = half.re[s + 5], *b_re = half.re[s + 10],
                *c_re = half.re[s + 15];
    const float *f_im = half.im[s], *a_im = half.im[s + 5], *b_im = half.im[s + 10],
                *c_im = half.im[s + 15];
    for (int j = 0; j < 16; ++j) {
      const float s0_re = a_re[j] * third_re_[1][j] - a_im[j] * third_im_[1][j];
      const float s0_im = a_re[j] * third_im_[1][j] + a_im[j] * third_re_[1][j];
      const float s1_re = b_re[j] * third_re_[2][j] - b_im[j] * third_im_[2][j];
      const float s1_im = b_re[j] * third_im_[2][j] + b_im[j] * third_re_[2][j];
      const float s2_re = c_re[j] * third_re_[3][j] - c_im[j] * third_im_[3][j];
      const float s2_im = c_re[j] * third_im_[3][j] + c_im[j] * third_re_[3][j];
      t_re[s][j] = (f_re[j] - s1_re) - (s0_im - s2_im);
      t_im[s][j] = (f_im[j] - s1_im) + (s0_re - s2_re);
    }
    first[s] = (f_re[0] + b_re[0]) + (a_re[0] + c_re[0]);
  }
  // Pass 4: the real part of frequency u + 256, u = 48..63; and of frequency 0.
  float tail[16];
  for (int j = 0; j < 16; ++j) {
    const int u = j + 48;
    const float s1_re = t_re[1][j] * last_re_[1][u] - t_im[1][j] * last_im_[1][u];
    const float s1_im = t_re[1][j] * last_im_[1][u] + t_im[1][j] * last_re_[1][u];
    const float s2_re = t_re[2][j] * last_re_[2][u] - t_im[2][j] * last_im_[2][u];
    const float s2_im = t_re[2][j] * last_im_[2][u] + t_im[2][j] * last_re_[2][u];
    const float s3_re = t_re[3][j] * last_re_[3][u] - t_im[3][j] * last_im_[3][u];
    const float s3_im = t_re[3][j] * last_im_[3][u] + t_im[3][j] * last_re_[3][u];
    const float s4_re = t_re[4][j] * last_re_[4][u] - t_im[4][j] * last_im_[4][u];
    const float s4_im = t_re[4][j] * last_im_[4][u] + t_im[4][j] * last_re_[4][u];
    const float p_re =
        t_re[0][j] + ((s1_re + s4_re) * fifth_.re + (s2_re + s3_re) * two_fifths_.re);
    const float r_re = (s1_im - s4_im) * fifth_.im + (s2_im - s3_im) * two_fifths_.im;
    tail[j] = p_re + r_re;
  }
  out[0] = kFftSize * (first[0] + ((first[1] + first[4]) + (first[2] + first[3])));
  for (int lag = 1; lag < kAutocorrelation; ++lag) out[lag] = kFftSize * tail[16 - lag];
}

}  // namespace pyvoc::dsp
