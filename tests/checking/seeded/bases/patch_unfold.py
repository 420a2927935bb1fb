# contract: patchify
def img_to_patches(x, patch_size):
    """[B, C, H, W] -> [B, number of patches, C * patch_size * patch_size]"""
    B, C, _, _ = x.shape
    patches = x.unfold(2, patch_size, patch_size).unfold(3, patch_size, patch_size)
    patches = patches.permute(0, 2, 3, 1, 4, 5)
    return patches.reshape(B, -1, C * patch_size * patch_size)
